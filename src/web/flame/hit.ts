// hit.ts: takes a place or a node, gives the node there, or its parent, child and siblings.
import { firstAbove, levelCount, type FlameTree } from "./tree";

export const noNode = -1;

/**
 * The node of a level at a position. Where none is exactly there, the nearest within `slack`
 * samples to the right: what lies under the same pixel.
 */
export function nodeAtPlace(tree: FlameTree, level: number, x: number, slack: number): number {
  if (level < 0 || level >= levelCount(tree)) return noNode;
  const to = tree.levels[level + 1];
  const slot = firstAbove(tree.right, tree.levels[level], to, x);
  if (slot === to || tree.left[slot] > x + slack) return noNode;
  return tree.nodeAt[slot];
}

function slotOf(tree: FlameTree, node: number): number {
  const from = tree.levels[tree.depth[node]];
  const to = tree.levels[tree.depth[node] + 1];
  let lo = from;
  let hi = to;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (tree.nodeAt[mid] < node) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** In pre-order, the parent is the last node before this one that is a level up. */
export function parentOf(tree: FlameTree, node: number): number {
  if (node === 0) return noNode;
  const level = tree.depth[node] - 1;
  let lo = tree.levels[level];
  let hi = tree.levels[level + 1];
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (tree.nodeAt[mid] < node) lo = mid + 1;
    else hi = mid;
  }
  return tree.nodeAt[lo - 1];
}

/** The row behind the last of the node's subtree. */
export function subtreeEnd(tree: FlameTree, node: number): number {
  let end = tree.count;
  for (let level = tree.depth[node]; level >= 1; level--) {
    // The next node on this level or one above it, whichever comes first.
    const to = tree.levels[level + 1];
    let lo = tree.levels[level];
    let hi = to;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (tree.nodeAt[mid] <= node) lo = mid + 1;
      else hi = mid;
    }
    if (lo < to && tree.nodeAt[lo] < end) end = tree.nodeAt[lo];
  }
  return end;
}

export function widestChildOf(tree: FlameTree, node: number): number {
  const level = tree.depth[node] + 1;
  if (level >= levelCount(tree)) return noNode;
  const end = subtreeEnd(tree, node);
  let best = noNode;
  const to = tree.levels[level + 1];
  const first = firstAbove(tree.right, tree.levels[level], to, tree.x[node]);
  for (let slot = first; slot < to; slot++) {
    const child = tree.nodeAt[slot];
    if (child >= end) break;
    if (child > node && (best === noNode || tree.total[child] > tree.total[best])) best = child;
  }
  return best;
}

/** The next node to the right (1) or left (-1) on the same level, whoever its parent is. */
export function neighbourOf(tree: FlameTree, node: number, step: 1 | -1): number {
  const slot = slotOf(tree, node) + step;
  const level = tree.depth[node];
  if (slot < tree.levels[level] || slot >= tree.levels[level + 1]) return noNode;
  return tree.nodeAt[slot];
}

/** From the root down to the node. */
export function pathTo(tree: FlameTree, node: number): number[] {
  const path: number[] = [];
  for (let n = node; n !== noNode; n = parentOf(tree, n)) path.push(n);
  return path.reverse();
}
