import assert from "node:assert/strict";
import { test } from "node:test";
import { BadTree, buildTree, firstAbove, firstAtLeast, levelCount, nameOf } from "../flame/tree";
import { bigTree, columnsOf, find, treeOf } from "./trees";

const folded = { "a;b": 3, "a;c": 2, "d;b": 4, d: 1 };

test("children lie side by side from their parent's left edge on", () => {
  const tree = treeOf(folded);
  const places = Array.from({ length: tree.count }, (_, i) => [nameOf(tree, i), tree.x[i]]);
  assert.deepEqual(places, [
    ["all", 0],
    ["a", 0],
    ["b", 0],
    ["c", 3],
    ["d", 5],
    ["b", 5],
  ]);
});

test("a level holds its nodes from left to right", () => {
  const tree = treeOf(folded);
  assert.equal(levelCount(tree), 3);
  const level2 = tree.nodeAt.subarray(tree.levels[2], tree.levels[3]);
  assert.deepEqual(
    [...level2].map((node) => tree.x[node]),
    [0, 3, 5],
  );
});

test("no nodes of a level overlap, and each lies within its parent", () => {
  const tree = bigTree(20000, 60);
  for (let level = 0; level < levelCount(tree); level++) {
    for (let slot = tree.levels[level] + 1; slot < tree.levels[level + 1]; slot++) {
      assert.ok(tree.left[slot] >= tree.right[slot - 1]);
    }
  }
  const open: number[] = [];
  for (let node = 0; node < tree.count; node++) {
    open.length = tree.depth[node];
    const parent = open[open.length - 1];
    if (parent !== undefined) {
      assert.ok(tree.x[node] >= tree.x[parent]);
      assert.ok(tree.x[node] + tree.total[node] <= tree.x[parent] + tree.total[parent]);
    }
    open.push(node);
  }
});

test("totals above 32 bits keep their place", () => {
  const big = 2 ** 40;
  const tree = treeOf({ a: big, b: 1, c: big });
  assert.equal(tree.x[find(tree, "c")], big + 1);
});

test("columns that are no tree are refused with the row", () => {
  const good = columnsOf(folded);
  const bad: [Partial<typeof good>, RegExp][] = [
    [{ depth: [0, 1, 3, 2, 1, 2] }, /row 2 has depth 3/],
    [{ depth: [0, 1, 2, 2, 0, 1] }, /row 4 has depth 0/],
    [{ depth: [1, 1, 2, 2, 1, 2] }, /root/],
    [{ name: [0, 1, 2, 3, 4, 99] }, /row 5 has no name/],
    [{ total: [10] }, /column total has 1 rows/],
    [{ depth: [], name: [], object: [], kind: [], self: [], total: [] }, /root/],
  ];
  for (const [change, reason] of bad) {
    assert.throws(
      () => buildTree({ ...good, ...change }),
      (error) => error instanceof BadTree && reason.test(error.message),
    );
  }
});

test("both binary searches find what a plain search finds", () => {
  const values = Float64Array.from([1, 1, 2, 4, 4, 4, 7]);
  for (let x = 0; x <= 8; x += 0.5) {
    const above = values.findIndex((v) => v > x);
    assert.equal(firstAbove(values, 0, values.length, x), above < 0 ? values.length : above);
    for (let from = 0; from <= values.length; from++) {
      const rest = values.findIndex((v, i) => i >= from && v >= x);
      const expected = rest < 0 ? values.length : rest;
      assert.equal(firstAtLeast(values, from, values.length, x), expected);
    }
  }
});
