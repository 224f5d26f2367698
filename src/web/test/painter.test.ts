import assert from "node:assert/strict";
import { test } from "node:test";
import { levelAt, rowHeightFor, topOfLevel } from "../flame/painter";

const geometry = { width: 100, height: 205, row: 20, ratio: 1 };

test("every pixel of a row belongs to its level, however far the rows are scrolled", () => {
  for (const scroll of [0, 7, 20, 333]) {
    for (let level = 0; level < 40; level++) {
      const top = topOfLevel(level, scroll, geometry);
      for (let y = Math.max(0, top); y < Math.min(geometry.height, top + geometry.row); y++) {
        const isUnderRoot = level > 0 && y >= geometry.height - geometry.row;
        assert.equal(levelAt(y + 0.5, scroll, geometry), isUnderRoot ? 0 : level);
      }
    }
  }
});

test("the root stays at the bottom", () => {
  assert.equal(topOfLevel(0, 500, geometry), 185);
  assert.equal(topOfLevel(1, 20, geometry), 185);
});

test("rows get lower so that all fit, and else stay easy to read", () => {
  assert.equal(rowHeightFor(10, 700), 20);
  assert.equal(rowHeightFor(40, 700), 17);
  assert.equal(rowHeightFor(100, 700), 18);
});
