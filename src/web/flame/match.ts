// match.ts: takes a search text, gives the nodes that match it and how much of the profile they are.
import type { FlameTree } from "./tree";

export interface Matches {
  /** Matching slots before each slot, for the renderer. */
  readonly before: Uint32Array;
  readonly nodes: number;
  /** Samples under any match; a match within a match counts once. */
  readonly samples: number;
}

/** `/text/` is a regular expression, anything else a part of the name; case does not matter. */
export function matcherOf(text: string): (name: string) => boolean {
  const pattern = /^\/(.+)\/$/.exec(text);
  if (pattern) {
    const re = new RegExp(pattern[1], "iu");
    return (name) => re.test(name);
  }
  const part = text.toLowerCase();
  return (name) => name.toLowerCase().includes(part);
}

/** Looks at names in full and as they are shown. Throws SyntaxError if the text is no regular expression. */
export function findMatches(tree: FlameTree, text: string): Matches {
  const matches = matcherOf(text);
  const byName = Uint8Array.from(tree.names, (name, row) =>
    matches(name) || matches(tree.labels[row]) ? 1 : 0,
  );
  byName[tree.name[0]] = 0; // the root stands for no code
  const before = new Uint32Array(tree.count + 1);
  for (let slot = 0; slot < tree.count; slot++) {
    before[slot + 1] = before[slot] + byName[tree.name[tree.nodeAt[slot]]];
  }
  let samples = 0;
  let under = 65536; // depth of the match whose subtree this is
  for (let node = 0; node < tree.count; node++) {
    if (tree.depth[node] > under) continue;
    under = 65536;
    if (byName[tree.name[node]]) {
      under = tree.depth[node];
      samples += tree.total[node];
    }
  }
  return { before, nodes: before[tree.count], samples };
}
