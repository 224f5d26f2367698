// trees.ts: trees for the tests.
import { buildTree, Kind, type Columns, type FlameTree } from "../flame/tree";

/** "main;read_[k]" and its samples; the order is that of the server, sorted by name. */
export type Folded = Readonly<Record<string, number>>;

interface Draft {
  readonly children: Map<string, Draft>;
  self: number;
  total: number;
}

function draftOf(folded: Folded): Draft {
  const root: Draft = { children: new Map(), self: 0, total: 0 };
  for (const [line, count] of Object.entries(folded)) {
    let at = root;
    at.total += count;
    for (const name of line.split(";")) {
      const child = at.children.get(name) ?? { children: new Map(), self: 0, total: 0 };
      at.children.set(name, child);
      at = child;
      at.total += count;
    }
    at.self += count;
  }
  return root;
}

function kindOf(label: string): number {
  if (label.endsWith("_[k]")) return Kind.kernel;
  return /^\[.*\]$/.test(label) ? Kind.marker : Kind.user;
}

/** Rows up to the depth `groups` are no code; `[name]` is a marker. */
export function columnsOf(folded: Folded, groups = 0): Columns {
  const names: string[] = [];
  const rows = { depth: [] as number[], name: [] as number[], object: [] as number[] };
  const more = { kind: [] as number[], self: [] as number[], total: [] as number[] };
  const add = (label: string, draft: Draft, depth: number) => {
    const isKernel = label.endsWith("_[k]");
    const name = isKernel ? label.slice(0, -4) : label;
    if (!names.includes(name)) names.push(name);
    rows.depth.push(depth);
    rows.name.push(names.indexOf(name));
    rows.object.push(0);
    more.kind.push(depth <= groups ? Kind.metadata : kindOf(label));
    more.self.push(draft.self);
    more.total.push(draft.total);
    for (const [child, below] of [...draft.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
      add(child, below, depth + 1);
    }
  };
  add("all", draftOf(folded), 0);
  return { names, objects: [""], ...rows, ...more };
}

export function treeOf(folded: Folded, groups = 0): FlameTree {
  return buildTree(columnsOf(folded, groups));
}

/** The first node of this name. */
export function find(tree: FlameTree, name: string): number {
  const node = tree.name.findIndex((row) => tree.names[row] === name);
  if (node < 0) throw new Error(`no node is called ${name}`);
  return node;
}

/** The same numbers on every run. */
export function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * sides);
  };
}

/** A tree of about so many nodes, up to `deepest` levels, of one sample a leaf and more. */
export function bigTree(count: number, deepest: number, seed = 1): FlameTree {
  const roll = dice(seed);
  const depth = [0];
  while (depth.length < count) {
    const last = depth[depth.length - 1];
    depth.push(roll(3) > 0 && last < deepest ? last + 1 : 1 + roll(Math.max(1, last)));
  }
  const self = depth.map(() => roll(3));
  const total = self.slice();
  const open: number[] = [];
  const close = (to: number) => {
    while (open.length > to) {
      const done = open.pop() ?? 0;
      if (total[done] === 0) total[done] = self[done] = 1;
      const parent = open[open.length - 1];
      if (parent !== undefined) total[parent] += total[done];
    }
  };
  depth.forEach((d, i) => {
    close(d);
    open.push(i);
  });
  close(0);
  return buildTree({
    names: Array.from({ length: 500 }, (_, i) => `function_${i}`),
    objects: [""],
    depth,
    name: depth.map(() => roll(500)),
    object: depth.map(() => 0),
    kind: depth.map((_, i) => (i === 0 ? Kind.metadata : 1 + roll(2))),
    self,
    total,
  });
}
