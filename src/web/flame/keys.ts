// keys.ts: takes a key and the frame that is selected, gives the frame to select, so that the tree
// can be walked without a mouse.
import { neighbourOf, noNode, parentOf, widestChildOf } from "./hit";
import type { FlameTree } from "./tree";

/** The root is at the bottom, so up is towards the leaves. null: the key does not walk. */
export function walk(tree: FlameTree, selected: number, key: string): number | null {
  const step = (to: number) => (to === noNode ? selected : to);
  if (selected === noNode) return key.startsWith("Arrow") ? 0 : null;
  switch (key) {
    case "ArrowUp":
      return step(widestChildOf(tree, selected));
    case "ArrowDown":
      return step(parentOf(tree, selected));
    case "ArrowRight":
      return step(neighbourOf(tree, selected, 1));
    case "ArrowLeft":
      return step(neighbourOf(tree, selected, -1));
    default:
      return null;
  }
}
