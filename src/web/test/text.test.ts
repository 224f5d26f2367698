import assert from "node:assert/strict";
import { test } from "node:test";
import { TextFitter } from "../flame/text";

let measured = 0;
const fitter = new TextFitter((text) => {
  measured++;
  return [...text].length * 10;
});

test("a name that fits stays whole", () => {
  assert.equal(fitter.fit("parse", 50), "parse");
});

test("a name that does not is cut so that the dots fit too", () => {
  assert.equal(fitter.fit("parse_json", 50), "pars…");
  assert.equal(fitter.fit("parse_json", 99), "parse_js…");
});

test("where not even two letters fit there is no text", () => {
  assert.equal(fitter.fit("parse", 29), "");
  assert.equal(fitter.fit("pa", 20), "pa");
});

test("letters outside ASCII are not cut in two", () => {
  assert.equal(fitter.fit("a😀bcd", 30), "a😀…");
});

test("each letter is measured once", () => {
  fitter.fit("qqqq", 1000);
  const before = measured;
  fitter.fit("qqqqqqqq", 1000);
  assert.equal(measured, before);
});
