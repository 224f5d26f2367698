import assert from "node:assert/strict";
import { test } from "node:test";
import { between, clampRange, panBy, scrollTo, wholeView, zoomAt } from "../flame/viewport";

const whole = wholeView(1000);

test("zooming keeps what is under the mouse under the mouse", () => {
  const view = zoomAt(whole, 250, 0.5, 1000);
  assert.equal(view.right - view.left, 500);
  assert.equal((250 - view.left) / 500, 0.25);
});

test("zooming out ends at the whole, zooming in at one sample", () => {
  let view = zoomAt(whole, 900, 0.1, 1000);
  for (let i = 0; i < 50; i++) view = zoomAt(view, 900, 1.5, 1000);
  assert.deepEqual([view.left, view.right], [0, 1000]);
  for (let i = 0; i < 100; i++) view = zoomAt(view, 999.5, 0.5, 1000);
  assert.equal(view.right - view.left, 1);
  assert.ok(view.left <= 999.5 && view.right >= 999.5);
});

test("panning stops at the edges", () => {
  const view = zoomAt(whole, 500, 0.1, 1000);
  assert.equal(panBy(view, -1e9, 1000).left, 0);
  assert.equal(panBy(view, 1e9, 1000).right, 1000);
  assert.equal(panBy(view, 10, 1000).left, view.left + 10);
});

test("a range outside the tree is moved into it", () => {
  assert.deepEqual(clampRange(-50, 50, 1000), [0, 100]);
  assert.deepEqual(clampRange(990, 1010, 1000), [980, 1000]);
  assert.deepEqual(clampRange(5, 5, 1000), [4.5, 5.5]);
  assert.deepEqual(clampRange(0, 0, 0), [0, 1]);
});

test("rows scroll between the root and the deepest", () => {
  assert.equal(scrollTo(whole, -5, 100).scroll, 0);
  assert.equal(scrollTo(whole, 500, 100).scroll, 100);
  assert.equal(scrollTo(whole, 500, -20).scroll, 0);
});

test("a motion ends exactly where it leads", () => {
  const to = { left: 100, right: 200, scroll: 7 };
  assert.deepEqual(between(whole, to, 1), to);
  assert.deepEqual(between(whole, to, 0), whole);
});
