// stacks.ts: takes a flamegraph's tree and the agents' counts, gives how whole the stacks are and how
// their callers were found, in shares with their words.
import type { Stacks } from "./api";
import { Kind, levelCount, nameOf, type FlameTree } from "./flame/tree";
import { explain, markerOf } from "./markers";

export interface Part {
  readonly words: string;
  readonly meaning: string;
  readonly share: number;
}

interface Method {
  readonly words: string;
  readonly meaning: string;
}

/** By the names of UNWIND_METHODS (unwind/unwind.h). */
const methods: ReadonlyMap<string, Method> = new Map([
  [
    "table",
    {
      words: "unwind table",
      meaning: "What the compiler wrote down about each instruction (CFI): exact.",
    },
  ],
  [
    "libunwind",
    {
      words: "libunwind",
      meaning: "From CFI that says more than a table's rule can: exact, and slower.",
    },
  ],
  [
    "code",
    {
      words: "following the code",
      meaning: "For code without CFI: its instructions, followed to where it returns. Nearly exact.",
    },
  ],
  [
    "live",
    {
      words: "memory read later",
      meaning:
        "Beyond the copied part of the stack, from memory as it was a moment later (podflamed's --live-tail): callers may have changed meanwhile.",
    },
  ],
  [
    "frame_pointer",
    {
      words: "frame pointer",
      meaning: "For code without CFI: exact where it keeps a frame pointer.",
    },
  ],
  [
    "scan",
    {
      words: "scan",
      meaning:
        "For an interrupted function without CFI: the first address on the stack that is a caller's. A guess, mostly right.",
    },
  ],
  [
    "chain",
    {
      words: "kernel's callchain",
      meaning: "By the kernel, which follows frame pointers: code that keeps none is passed over.",
    },
  ],
]);

/** A newer agent's method has its own name for words. */
function methodOf(name: string): Method {
  return methods.get(name) ?? { words: name.replaceAll("_", " "), meaning: "" };
}

const largestFirst = (a: Part, b: Part) => b.share - a.share;

/** The level of the frames nearest to the root: above the groups. */
function firstLevel(tree: FlameTree): number {
  let level = 0;
  while (
    level < levelCount(tree) &&
    tree.kind[tree.nodeAt[tree.levels[level]]] === Kind.metadata
  ) {
    level++;
  }
  return level;
}

/** Samples by the marker at the root end of their stack. */
function samplesByMarker(tree: FlameTree): Map<string, number> {
  const samples = new Map<string, number>();
  const level = firstLevel(tree);
  if (level === levelCount(tree)) return samples;
  for (let slot = tree.levels[level]; slot < tree.levels[level + 1]; slot++) {
    const node = tree.nodeAt[slot];
    if (tree.kind[node] !== Kind.marker) continue;
    const name = nameOf(tree, node);
    samples.set(name, (samples.get(name) ?? 0) + tree.total[node]);
  }
  return samples;
}

/** Whole stacks first, then what ended the others; nothing of an empty tree. */
export function partsByEnd(tree: FlameTree): Part[] {
  const total = tree.total[0];
  if (total === 0) return [];
  const parts: Part[] = [];
  let whole = total;
  for (const [name, samples] of samplesByMarker(tree)) {
    const marker = markerOf(name);
    parts.push({ words: marker.words, meaning: explain(marker), share: samples / total });
    whole -= samples;
  }
  const rest = {
    words: "whole",
    meaning: "From the thread's first function to what ran; of kernel threads, all there is.",
    share: whole / total,
  };
  return [rest, ...parts.sort(largestFirst)];
}

/** What was never used is left out. */
export function partsByMethod(stacks: Stacks): Part[] {
  const used = [...stacks.methods].filter(([, count]) => count > 0);
  const total = used.reduce((sum, [, count]) => sum + count, 0);
  return used
    .map(([name, count]) => ({ ...methodOf(name), share: count / total }))
    .sort(largestFirst);
}

/** The share of stacks that were unwound before a table they needed was there. */
export function pendingShare(stacks: Stacks): number {
  let all = 0;
  for (const count of stacks.ends.values()) all += count;
  return all > 0 ? stacks.pending / all : 0;
}
