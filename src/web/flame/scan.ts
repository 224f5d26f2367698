// scan.ts: takes one level of the tree and the visible range, gives the boxes to draw. Nodes that
// are narrower than a pixel are drawn together and stepped over by binary search: the cost follows
// the pixels, not the nodes.
import { firstAbove, firstAtLeast, type FlameTree } from "./tree";

/** From `left` on, each sample is `scale` pixels wide; the canvas has `width` pixels. */
export interface Span {
  readonly left: number;
  readonly scale: number;
  readonly width: number;
}

/** Nodes from this width on are boxes of their own. */
const ownBoxPixels = 1.5;
/** How finely a run's share of its pixel is shown. */
export const coverSteps = 4;

/** Boxes of one level, from left to right. Kept between calls so that drawing allocates nothing. */
export class Boxes {
  count = 0;
  /** Pixels, whole numbers; `end` is behind the last. */
  start: Int32Array;
  end: Int32Array;
  /** The node, or one of the run's. */
  node: Uint32Array;
  /** 0: a node of its own; 1 to coverSteps: a run of nodes that covers its pixels so far. */
  cover: Uint8Array;
  /** 1: it is, or has in it, a match of the search. */
  match: Uint8Array;

  constructor(room: number) {
    this.start = new Int32Array(room);
    this.end = new Int32Array(room);
    this.node = new Uint32Array(room);
    this.cover = new Uint8Array(room);
    this.match = new Uint8Array(room);
  }

  add(start: number, end: number, node: number, cover: number, match: number): void {
    const i = this.count++;
    this.start[i] = start;
    this.end[i] = end;
    this.node[i] = node;
    this.cover[i] = cover;
    this.match[i] = match;
  }
}

/** Room for the boxes of any level: at most a run and one box of its own start in a pixel. */
export function boxesFor(width: number): Boxes {
  return new Boxes(2 * width + 2);
}

/**
 * `matchesBefore[slot]` is the number of matching slots before it, null without a search. Returns
 * how many boxes and runs were looked at, which is what the cost follows.
 */
export function scanLevel(
  tree: FlameTree,
  level: number,
  span: Span,
  matchesBefore: Uint32Array | null,
  boxes: Boxes,
): number {
  const { left, right, nodeAt, widthBefore, kind } = tree;
  const { scale, width } = span;
  const to = tree.levels[level + 1];
  boxes.count = 0;
  let steps = 0;
  let slot = firstAbove(right, tree.levels[level], to, span.left);
  while (slot < to) {
    steps++;
    const l = (left[slot] - span.left) * scale;
    const r = (right[slot] - span.left) * scale;
    if (l >= width) break;
    if (r - l >= ownBoxPixels) {
      const match = matchesBefore ? matchesBefore[slot + 1] - matchesBefore[slot] : 0;
      const start = Math.max(0, Math.round(l));
      const end = Math.min(width, Math.round(r));
      if (end > start) boxes.add(start, end, nodeAt[slot], 0, match);
      slot++;
      continue;
    }
    const pixel = Math.max(0, Math.floor(l));
    let next = firstAtLeast(left, slot + 1, to, span.left + (pixel + 1) / scale);
    // Only the last that starts in this pixel can be wide; it gets a box of its own.
    if (next - slot > 1 && (right[next - 1] - left[next - 1]) * scale >= ownBoxPixels) next--;
    const share = Math.min(1, (widthBefore[next] - widthBefore[slot]) * scale);
    const cover = Math.max(1, Math.ceil(share * coverSteps));
    const match = matchesBefore && matchesBefore[next] > matchesBefore[slot] ? 1 : 0;
    addRun(boxes, pixel, nodeAt[slot], cover, match, kind);
    slot = next;
  }
  return steps;
}

/** Runs side by side that look the same become one. */
function addRun(
  boxes: Boxes,
  pixel: number,
  node: number,
  cover: number,
  match: number,
  kind: Uint8Array,
): void {
  const last = boxes.count - 1;
  if (
    last >= 0 &&
    boxes.end[last] === pixel &&
    boxes.cover[last] === cover &&
    boxes.match[last] === match &&
    kind[boxes.node[last]] === kind[node]
  ) {
    boxes.end[last] = pixel + 1;
    return;
  }
  boxes.add(pixel, pixel + 1, node, cover, match);
}
