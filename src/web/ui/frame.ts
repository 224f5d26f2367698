// frame.ts: takes a node, gives the words that say what it is.
import type { Flame } from "../api";
import { countText, durationText, percentText } from "../format";
import { parentOf, noNode } from "../flame/hit";
import { kindNames } from "../flame/palette";
import { Kind, nameOf, placeOf, type FlameTree } from "../flame/tree";
import { hintOf } from "../interpreters";
import { explain, markerOf } from "../markers";

export interface FrameWords {
  /** In full. */
  readonly name: string;
  readonly kind: string;
  /** "" for what is no code */
  readonly object: string;
  /** Its file, and its line where lines are told apart; "" where none is known. */
  readonly place: string;
  readonly samples: string;
  readonly share: string;
  /** "" where it says nothing new */
  readonly ofParent: string;
  readonly cpu: string;
  readonly self: string;
  /** Of a marker, or what runs functions without names: what it means, and what to do. */
  readonly meaning: string;
}

/** A group's row says which of its labels it is: "process", "node". */
function kindOf(flame: Flame, group: readonly string[], node: number): string {
  const { kind, depth } = flame.tree;
  if (kind[node] !== Kind.metadata) return kindNames[kind[node]] ?? "";
  return node === 0 ? "everything" : (group[depth[node] - 1] ?? "group");
}

function meaningOf(tree: FlameTree, node: number): string {
  if (tree.kind[node] === Kind.marker) return explain(markerOf(nameOf(tree, node)));
  return hintOf(tree, node);
}

export function wordsOf(flame: Flame, group: readonly string[], node: number): FrameWords {
  const { tree } = flame;
  const total = tree.total[node];
  const parent = parentOf(tree, node);
  const isPartOfPart = parent !== noNode && parent !== 0 && tree.total[parent] > 0;
  return {
    name: nameOf(tree, node),
    kind: kindOf(flame, group, node),
    object: tree.objects[tree.object[node]],
    place: placeOf(tree, node),
    samples: `${countText(total)} ${total === 1 ? "sample" : "samples"}`,
    share: percentText(tree.total[0] > 0 ? total / tree.total[0] : 0),
    ofParent: isPartOfPart ? `${percentText(total / tree.total[parent])} of its caller` : "",
    cpu: `${durationText((total * flame.periodNs) / 1e6)} CPU`,
    self: tree.self[node] > 0 ? `${countText(tree.self[node])} here` : "",
    meaning: meaningOf(tree, node),
  };
}
