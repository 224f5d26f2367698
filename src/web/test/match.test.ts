import assert from "node:assert/strict";
import { test } from "node:test";
import { findMatches } from "../flame/match";
import { buildTree } from "../flame/tree";
import { columnsOf, treeOf } from "./trees";

const tree = treeOf({ "main;parse;alloc": 3, "main;alloc": 2, "other;Alloc;alloc": 5, "x(y)": 1 });

test("a match within a match counts once", () => {
  const matches = findMatches(tree, "alloc");
  assert.equal(matches.samples, 10);
  assert.equal(matches.nodes, 4);
});

test("upper and lower case are the same, and signs are only signs", () => {
  assert.equal(findMatches(tree, "PARSE").samples, 3);
  assert.equal(findMatches(tree, "x(").samples, 1);
  assert.equal(findMatches(tree, "p.rse").samples, 0);
});

test("between slashes it is a regular expression", () => {
  assert.equal(findMatches(tree, "/^(parse|x)/").samples, 4);
  assert.throws(() => findMatches(tree, "/(/"), SyntaxError);
});

test("a name is found in full and as it is shown", () => {
  const columns = columnsOf({ "std::vector<int>::size() const": 2, other: 1 });
  const row = columns.names.indexOf("std::vector<int>::size() const");
  const both = buildTree({ ...columns, short: new Map([[row, "std::vector<…>::size"]]) });
  assert.equal(findMatches(both, "size() const").samples, 2);
  assert.equal(findMatches(both, "<…>").samples, 2);
  assert.equal(findMatches(both, "/^other$/").samples, 1);
});

test("the root is no match for its own name", () => {
  assert.equal(findMatches(tree, "all").samples, 10);
  assert.equal(findMatches(treeOf({ a: 1 }), "all").samples, 0);
});

test("matches before a slot are counted along the levels", () => {
  const { before } = findMatches(tree, "main");
  assert.equal(before[0], 0);
  assert.equal(before[tree.count], 1);
  assert.deepEqual([before[tree.levels[1]], before[tree.levels[2]]], [0, 1]);
});
