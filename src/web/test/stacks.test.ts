import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Stacks } from "../api";
import { explain, markerOf } from "../markers";
import { partsByEnd, partsByMethod, pendingShare } from "../stacks";
import { treeOf } from "./trees";

const top = process.env["top_srcdir"] ?? "../..";

const sharesOf = (parts: ReturnType<typeof partsByEnd>) =>
  parts.map(({ words, share }) => [words, Number(share.toFixed(3))]);

const counted = (methods: Record<string, number>, ends: Record<string, number> = {}): Stacks => ({
  ends: new Map(Object.entries(ends)),
  methods: new Map(Object.entries(methods)),
  pending: 3,
});

test("every marker of the agent is explained, and what to do about it", () => {
  const header = readFileSync(`${top}/src/agent/marker.h`, "utf8");
  const names = [...header.matchAll(/X\(\w+, "(\[[^"]+\])"/g)].map((match) => match[1]);
  assert.ok(names.length >= 6);
  for (const name of names) {
    const { meaning, remedy } = markerOf(name);
    assert.ok(meaning.length > 40 && remedy.length > 20, name);
  }
});

test("every method of the unwinder has words and a meaning", () => {
  const header = readFileSync(`${top}/unwind/stack.h`, "utf8");
  const table = /#define UNWIND_METHODS[^]*?\n\n/.exec(header)?.[0] ?? "";
  const names = [...table.matchAll(/X\((\w+), "/g)].map((match) => match[1]);
  assert.ok(names.length >= 4);
  for (const name of names) {
    const [part] = partsByMethod(counted({ [name]: 1 }));
    assert.ok(part.words !== "" && part.meaning !== "", name);
  }
});

test("stacks are whole that have no marker at their root end, above any groups", () => {
  const folded = {
    "n;p;main;work": 70,
    "n;p;main;[unknown]": 5,
    "n;p;[truncated];work": 14,
    "n;q;[no unwind info];work": 8,
    "n;q;[truncated];rest": 1,
    "n;q;[of tomorrow]": 2,
  };
  assert.deepEqual(sharesOf(partsByEnd(treeOf(folded, 2))), [
    ["whole", 0.75],
    ["truncated", 0.15],
    ["no unwind info", 0.08],
    ["of tomorrow", 0.02],
  ]);
  assert.deepEqual(sharesOf(partsByEnd(treeOf({ "[truncated];a": 1, b: 3 }))), [
    ["whole", 0.75],
    ["truncated", 0.25],
  ]);
});

test("a tree without frames has whole stacks, one without samples none", () => {
  assert.deepEqual(sharesOf(partsByEnd(treeOf({ p: 4 }, 1))), [["whole", 1]]);
  assert.deepEqual(partsByEnd(treeOf({})), []);
});

test("methods stand most used first, unused ones not at all, unknown ones by their names", () => {
  const parts = partsByMethod(counted({ scan: 1, table: 15, chain: 0, live_guess: 4 }));
  assert.deepEqual(sharesOf(parts), [
    ["unwind table", 0.75],
    ["live guess", 0.2],
    ["scan", 0.05],
  ]);
  assert.deepEqual(partsByMethod(counted({ table: 0 })), []);
  assert.deepEqual(sharesOf(partsByMethod(counted({ constructor: 1 }))), [["constructor", 1]]);
});

test("stacks that were early are a share of all", () => {
  assert.equal(pendingShare(counted({}, { bottom: 25, truncated: 5 })), 0.1);
  assert.equal(pendingShare(counted({})), 0);
});

test("a marker that nobody explains has its name alone", () => {
  assert.deepEqual(markerOf("[of tomorrow]").words, "of tomorrow");
  assert.equal(explain(markerOf("[of tomorrow]")), "");
});
