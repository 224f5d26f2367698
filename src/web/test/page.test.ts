import assert from "node:assert/strict";
import { test } from "node:test";
import { countText, durationText, percentText } from "../format";
import { ageText, completeTime, rangeText, rfc3339 } from "../time";
import { hasFilter, readUrl, withFilter, withoutLabels, writeUrl } from "../url";

test("an address without parameters is the last five minutes by process", () => {
  assert.deepEqual(readUrl(""), {
    query: { start: "-5m", end: "now", group: ["process"], filters: [], lines: false },
    search: "",
  });
  assert.equal(writeUrl(readUrl("")), "");
});

test("an address says all that is shown, and is read back as it was written", () => {
  for (const address of [
    "?start=-1h",
    "?start=2026-11-22T16%3A00%3A00%2B01%3A00&end=2026-11-22T17%3A00%3A00Z",
    "?group=process%2Cthread&process=a%3Bb+c&process=other&namespace=shop&search=%2F%5Emain%2F",
    "?group=",
    "?lines=true&process=shop",
  ]) {
    assert.equal(writeUrl(readUrl(address)), address);
  }
});

test("empty parameters and blanks around times say nothing", () => {
  assert.equal(writeUrl(readUrl("?start=+-5m+&end=&process=&search=")), "");
});

test("a filter replaces those of its label and leaves the others", () => {
  const { query } = readUrl("?process=a&process=b&node=n1");
  const one = withFilter(query, "process", "c");
  assert.ok(hasFilter(one, "process", "c") && !hasFilter(one, "process", "a"));
  assert.ok(hasFilter(one, "node", "n1"));
  assert.deepEqual(withoutLabels(one, ["process", "node"]).filters, []);
});

test("a time without a zone is the reader's own", () => {
  const minutes = -new Date("2026-11-22T16:00:00").getTimezoneOffset();
  const sign = minutes < 0 ? "-" : "+";
  const two = (n: number) => String(n).padStart(2, "0");
  const zone = `${sign}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  assert.equal(completeTime(" 2026-11-22 16:00 "), `2026-11-22T16:00:00${zone}`);
  assert.equal(completeTime("2026-11-22T16:00:30.5"), `2026-11-22T16:00:30.5${zone}`);
  assert.equal(completeTime("2026-11-22"), `2026-11-22T00:00:00${zone}`);
  const complete = new Date(completeTime("2026-11-22 16:00"));
  assert.equal(complete.getTime(), new Date("2026-11-22T16:00:00").getTime());
});

test("other times go to the server as they are", () => {
  for (const text of [
    "-5m",
    "now",
    "1795363200",
    "2026-11-22T16:00:00Z",
    "yesterday",
    "",
    "2026-99-99",
  ]) {
    assert.equal(completeTime(text), text);
  }
});

test("a range is told with its day where that is not today", () => {
  const noon = new Date(2026, 10, 22, 12, 0, 0).getTime();
  const hour = 3600_000;
  assert.equal(rangeText(noon, noon + 300_000, noon), "12:00:00 – 12:05:00");
  assert.equal(rangeText(noon, noon + hour, noon + 48 * hour), "2026-11-22 12:00:00 – 13:00:00");
  const night = rangeText(noon, noon + 24 * hour, noon);
  assert.equal(night, "2026-11-22 12:00 – 2026-11-23 12:00");
});

test("numbers are as people read them", () => {
  assert.equal(countText(1234567), "1,234,567");
  assert.deepEqual([0, 0.00001, 0.0004, 0.123, 0.9999, 1].map(percentText), [
    "0 %",
    "< 0.01 %",
    "0.04 %",
    "12.3 %",
    "100 %",
    "100 %",
  ]);
  assert.deepEqual([0, 530, 12300, 250_000, 7_500_000, 273_600_000].map(durationText), [
    "0 ms",
    "530 ms",
    "12.3 s",
    "4 min 10 s",
    "2 h 5 min",
    "3 d 4 h",
  ]);
  assert.equal(rfc3339(1795363200000), "2026-11-22T16:00:00Z");
  assert.deepEqual(
    [5, 600, 7200, 864000].map((s) => ageText(0, s * 1000)),
    ["5 s ago", "10 min ago", "2 h ago", "10 days ago"],
  );
});
