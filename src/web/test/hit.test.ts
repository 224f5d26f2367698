import assert from "node:assert/strict";
import { test } from "node:test";
import {
  neighbourOf,
  nodeAtPlace,
  noNode,
  parentOf,
  pathTo,
  subtreeEnd,
  widestChildOf,
} from "../flame/hit";
import { walk } from "../flame/keys";
import { nameOf } from "../flame/tree";
import { bigTree, find, treeOf } from "./trees";

const folded = { "a;b": 3, "a;c": 5, a: 2, "d;e;f": 4, "d;g": 1 };

test("the frame under a place is found, and where there is none, none", () => {
  const tree = treeOf(folded);
  const at = (level: number, x: number, slack = 0) => {
    const node = nodeAtPlace(tree, level, x, slack);
    return node === noNode ? "" : nameOf(tree, node);
  };
  assert.equal(at(0, 0), "all");
  assert.equal(at(0, 14.99), "all");
  assert.equal(at(0, 15), "");
  assert.equal(at(1, 9.9), "a");
  assert.equal(at(1, 10), "d");
  assert.equal(at(2, 2.9), "b");
  assert.equal(at(2, 3), "c");
  assert.equal(at(2, 9), "", "a's own samples have no frame above them");
  assert.equal(at(2, 9.5, 1), "e", "what is under the same pixel counts");
  assert.equal(at(3, 11), "f");
  assert.equal(at(4, 11), "");
  assert.equal(at(-1, 0), "");
});

test("parents, subtrees, children and neighbours agree with the depths", () => {
  const tree = bigTree(3000, 30, 7);
  const open: number[] = [];
  for (let node = 0; node < tree.count; node++) {
    open.length = tree.depth[node];
    assert.equal(parentOf(tree, node), node === 0 ? noNode : open[open.length - 1]);
    assert.deepEqual(pathTo(tree, node), [...open, node]);
    open.push(node);
    let end = node + 1;
    let widest = noNode;
    while (end < tree.count && tree.depth[end] > tree.depth[node]) {
      const isChild = tree.depth[end] === tree.depth[node] + 1;
      if (isChild && (widest === noNode || tree.total[end] > tree.total[widest])) widest = end;
      end++;
    }
    assert.equal(subtreeEnd(tree, node), end);
    assert.equal(widestChildOf(tree, node), widest);
  }
});

test("the arrow keys walk the tree", () => {
  const tree = treeOf(folded);
  const node = (name: string) => find(tree, name);
  assert.equal(walk(tree, noNode, "ArrowUp"), 0);
  assert.equal(walk(tree, 0, "ArrowUp"), node("a"));
  assert.equal(walk(tree, node("a"), "ArrowUp"), node("c"), "up goes to the widest");
  assert.equal(walk(tree, node("c"), "ArrowUp"), node("c"), "a leaf has nothing above it");
  assert.equal(walk(tree, node("c"), "ArrowLeft"), node("b"));
  assert.equal(walk(tree, node("c"), "ArrowRight"), node("e"), "across parents");
  assert.equal(walk(tree, node("e"), "ArrowDown"), node("d"));
  assert.equal(walk(tree, 0, "ArrowDown"), 0);
  assert.equal(walk(tree, 0, "x"), null);
  assert.equal(neighbourOf(tree, node("b"), -1), noNode);
});
