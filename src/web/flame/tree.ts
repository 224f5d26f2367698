// tree.ts: takes the columns of a flame answer, gives the tree in typed arrays with each node's
// place on the x axis, and the nodes of each level side by side.

/** What a node is; the API's numbers. */
export const Kind = { metadata: 0, user: 1, kernel: 2, jit: 3, inlined: 4, marker: 5 } as const;
export const kindCount = 6;

/** One row per node, in pre-order; row 0 is the root. */
export interface Columns {
  readonly names: readonly string[];
  /** Short forms of some names, by their rows. */
  readonly short?: ReadonlyMap<number, string>;
  readonly objects: readonly string[];
  /** With `file`: where something is known. */
  readonly files?: readonly string[] | undefined;
  readonly depth: ArrayLike<number>;
  readonly name: ArrayLike<number>;
  readonly object: ArrayLike<number>;
  readonly file?: ArrayLike<number> | undefined;
  readonly line?: ArrayLike<number> | undefined;
  readonly kind: ArrayLike<number>;
  readonly self: ArrayLike<number>;
  readonly total: ArrayLike<number>;
}

/**
 * Positions are in samples: the root spans 0 to its total, a node's children lie side by side from
 * its left edge on. The level arrays hold, for the level `d`, the slots levels[d] to
 * levels[d + 1], ordered by x: their nodes never overlap, so that binary search works on them.
 */
export interface FlameTree {
  readonly count: number;
  readonly names: readonly string[];
  /** Each name as a box shows it. */
  readonly labels: readonly string[];
  readonly objects: readonly string[];
  /** "" where none is known. */
  readonly files: readonly string[];
  readonly depth: Uint16Array;
  readonly name: Uint32Array;
  readonly object: Uint32Array;
  readonly file: Uint32Array;
  /** 0 where none is known. */
  readonly line: Uint32Array;
  readonly kind: Uint8Array;
  readonly self: Float64Array;
  readonly total: Float64Array;
  /** Left edge of each node. */
  readonly x: Float64Array;
  /** First slot of each level; one more entry than there are levels. */
  readonly levels: Uint32Array;
  /** Node of each slot. */
  readonly nodeAt: Uint32Array;
  /** Edges of each slot's node. */
  readonly left: Float64Array;
  readonly right: Float64Array;
  /** Sum of the widths of all slots before this one; one more entry than there are slots. */
  readonly widthBefore: Float64Array;
}

export class BadTree extends Error {}

function checkColumns(c: Columns): void {
  const count = c.depth.length;
  for (const column of ["name", "object", "file", "line", "kind", "self", "total"] as const) {
    const rows = c[column]?.length ?? count;
    if (rows !== count) {
      throw new BadTree(`column ${column} has ${rows} rows, depth has ${count}`);
    }
  }
  if (count === 0 || c.depth[0] !== 0) throw new BadTree("row 0 is not the root");
  for (let i = 0; i < count; i++) {
    const fits =
      i === 0 || (c.depth[i] >= 1 && c.depth[i] <= c.depth[i - 1] + 1 && c.depth[i] <= 65535);
    if (!fits) throw new BadTree(`row ${i} has depth ${c.depth[i]} behind ${c.depth[i - 1]}`);
    if (!(c.name[i] < c.names.length)) throw new BadTree(`row ${i} has no name`);
    if (!(c.object[i] < c.objects.length)) throw new BadTree(`row ${i} has no object`);
    if (c.file && !(c.file[i] < (c.files?.length ?? 0))) throw new BadTree(`row ${i} has no file`);
  }
}

function maxDepth(depth: Uint16Array): number {
  let max = 0;
  for (let i = 0; i < depth.length; i++) if (depth[i] > max) max = depth[i];
  return max;
}

/** Left edges: a child starts where its elder sibling ended, the first where its parent starts. */
function placeNodes(depth: Uint16Array, total: Float64Array, levelCount: number): Float64Array {
  const x = new Float64Array(depth.length);
  const next = new Float64Array(levelCount + 1);
  for (let i = 0; i < depth.length; i++) {
    const d = depth[i];
    x[i] = next[d];
    next[d + 1] = next[d];
    next[d] += total[i];
  }
  return x;
}

/** A counting sort by depth. Pre-order is kept within a level, and so is the order of x. */
function sortByLevel(depth: Uint16Array, levelCount: number) {
  const levels = new Uint32Array(levelCount + 1);
  for (let i = 0; i < depth.length; i++) levels[depth[i] + 1]++;
  for (let d = 0; d < levelCount; d++) levels[d + 1] += levels[d];
  const nodeAt = new Uint32Array(depth.length);
  const free = levels.slice();
  for (let i = 0; i < depth.length; i++) nodeAt[free[depth[i]]++] = i;
  return { levels, nodeAt };
}

/** A kind that a newer server knows is shown as a marker. */
function kindsOf(column: ArrayLike<number>): Uint8Array {
  const kind = new Uint8Array(column);
  for (let i = 0; i < kind.length; i++) if (kind[i] >= kindCount) kind[i] = Kind.marker;
  return kind;
}

export function buildTree(columns: Columns): FlameTree {
  checkColumns(columns);
  const count = columns.depth.length;
  const depth = new Uint16Array(columns.depth);
  const total = new Float64Array(columns.total);
  const levelCount = maxDepth(depth) + 1;
  const x = placeNodes(depth, total, levelCount);
  const { levels, nodeAt } = sortByLevel(depth, levelCount);
  const left = new Float64Array(count);
  const right = new Float64Array(count);
  const widthBefore = new Float64Array(count + 1);
  for (let slot = 0; slot < count; slot++) {
    const node = nodeAt[slot];
    left[slot] = x[node];
    right[slot] = x[node] + total[node];
    widthBefore[slot + 1] = widthBefore[slot] + total[node];
  }
  return {
    count,
    names: columns.names,
    labels: columns.names.map((name, row) => columns.short?.get(row) ?? name),
    objects: columns.objects,
    files: columns.file ? (columns.files ?? [""]) : [""],
    depth,
    name: new Uint32Array(columns.name),
    object: new Uint32Array(columns.object),
    file: columns.file ? new Uint32Array(columns.file) : new Uint32Array(count),
    line: columns.line ? new Uint32Array(columns.line) : new Uint32Array(count),
    kind: kindsOf(columns.kind),
    self: new Float64Array(columns.self),
    total,
    x,
    levels,
    nodeAt,
    left,
    right,
    widthBefore,
  };
}

export function levelCount(tree: FlameTree): number {
  return tree.levels.length - 1;
}

export function nameOf(tree: FlameTree, node: number): string {
  return tree.names[tree.name[node]];
}

/** What a box shows: short, and with its line where lines are told apart. */
export function labelOf(tree: FlameTree, node: number): string {
  const label = tree.labels[tree.name[node]];
  return tree.line[node] > 0 ? `${label}:${tree.line[node]}` : label;
}

/** "parser.cc:17", "parser.cc", or "" where nothing is known. */
export function placeOf(tree: FlameTree, node: number): string {
  const file = tree.files[tree.file[node]];
  return file !== "" && tree.line[node] > 0 ? `${file}:${tree.line[node]}` : file;
}

/** The first slot in [from, to) whose value is above `x`, or `to`. `values` rises. */
export function firstAbove(values: Float64Array, from: number, to: number, x: number): number {
  let lo = from;
  let hi = to;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (values[mid] > x) hi = mid;
    else lo = mid + 1;
  }
  return lo;
}

/** As firstAbove for the first value that is not below `x`, near `from`: it doubles its steps. */
export function firstAtLeast(values: Float64Array, from: number, to: number, x: number): number {
  let step = 1;
  let lo = from;
  let hi = from;
  while (hi < to && values[hi] < x) {
    lo = hi + 1;
    hi += step;
    step *= 2;
  }
  if (hi > to) hi = to;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if (values[mid] < x) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}
