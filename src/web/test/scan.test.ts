import assert from "node:assert/strict";
import { test } from "node:test";
import { boxesFor, coverSteps, scanLevel, type Boxes, type Span } from "../flame/scan";
import { findMatches } from "../flame/match";
import { levelCount, nameOf } from "../flame/tree";
import { bigTree, treeOf } from "./trees";

const spanOver = (left: number, right: number, width: number): Span => ({
  left,
  scale: width / (right - left),
  width,
});

const list = (boxes: Boxes) =>
  Array.from({ length: boxes.count }, (_, i) => ({
    start: boxes.start[i],
    end: boxes.end[i],
    node: boxes.node[i],
    cover: boxes.cover[i],
    match: boxes.match[i],
  }));

test("a frame's box is as wide as its share", () => {
  const tree = treeOf({ a: 30, b: 70 });
  const boxes = boxesFor(200);
  scanLevel(tree, 1, spanOver(0, 100, 200), null, boxes);
  const drawn = list(boxes).map((b) => [nameOf(tree, b.node), b.start, b.end, b.cover]);
  assert.deepEqual(drawn, [
    ["a", 0, 60, 0],
    ["b", 60, 200, 0],
  ]);
});

test("only what is visible is drawn, cut at the edges", () => {
  const tree = treeOf({ a: 30, b: 40, c: 30 });
  const boxes = boxesFor(100);
  scanLevel(tree, 1, spanOver(40, 60, 100), null, boxes);
  const drawn = list(boxes).map((b) => [nameOf(tree, b.node), b.start, b.end]);
  assert.deepEqual(drawn, [["b", 0, 100]]);
});

test("frames narrower than a pixel are one run, as dense as they cover it", () => {
  const folded: Record<string, number> = { z: 5000 };
  for (let i = 0; i < 5000; i++) folded[`f${String(i).padStart(4, "0")}`] = 1;
  const tree = treeOf(folded);
  const boxes = boxesFor(100);
  const steps = scanLevel(tree, 1, spanOver(0, 10000, 100), null, boxes);
  const [run, wide] = list(boxes);
  assert.equal(boxes.count, 2);
  assert.deepEqual([run.start, run.end, run.cover], [0, 50, coverSteps]);
  assert.deepEqual([wide.start, wide.end, wide.cover], [50, 100, 0]);
  assert.ok(steps <= 52, `${steps} steps for 51 things to see`);
});

test("a lone sample in a wide pixel is faint, and is there", () => {
  const tree = treeOf({ "a;b": 1, a: 9999 });
  const boxes = boxesFor(100);
  scanLevel(tree, 2, spanOver(0, 10000, 100), null, boxes);
  assert.deepEqual(list(boxes), [{ start: 0, end: 1, node: 2, cover: 1, match: 0 }]);
});

test("a match shows although it is the smallest part of its run", () => {
  const tree = treeOf({ aaa: 1, bbb: 1, ccc: 1, z: 99997 });
  const matches = findMatches(tree, "bbb");
  const boxes = boxesFor(100);
  scanLevel(tree, 1, spanOver(0, 100000, 100), matches.before, boxes);
  assert.deepEqual(
    list(boxes).map((b) => [b.start, b.match]),
    [
      [0, 1],
      [0, 0],
    ],
  );
});

test("the cost follows the pixels, not the nodes", () => {
  const width = 1000;
  const boxes = boxesFor(width);
  for (const count of [3000, 300000]) {
    const tree = bigTree(count, 40);
    for (let level = 0; level < levelCount(tree); level++) {
      const steps = scanLevel(tree, level, spanOver(0, tree.total[0], width), null, boxes);
      assert.ok(steps <= 2 * width, `${steps} steps on level ${level} of ${count} nodes`);
    }
  }
});

test("boxes go from left to right, within the canvas, each of something", () => {
  const tree = bigTree(50000, 50);
  const boxes = boxesFor(777);
  const total = tree.total[0];
  for (const [from, to] of [
    [0, total],
    [total * 0.3, total * 0.31],
    [total / 2, total / 2 + 3],
  ]) {
    for (let level = 0; level < levelCount(tree); level++) {
      scanLevel(tree, level, spanOver(from, to, 777), null, boxes);
      let last = -1;
      for (const box of list(boxes)) {
        assert.ok(box.start >= last && box.end > box.start && box.end <= 777);
        assert.equal(tree.depth[box.node], level);
        last = box.start;
      }
    }
  }
});
