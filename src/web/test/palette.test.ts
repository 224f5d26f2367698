import assert from "node:assert/strict";
import { test } from "node:test";
import {
  dark,
  light,
  ownStyle,
  runStyle,
  shadeOfName,
  styleCount,
  stylesOf,
} from "../flame/palette";
import { coverSteps } from "../flame/scan";
import { Kind } from "../flame/tree";

const rgb = (css: string) => (css.match(/\d+/g) ?? []).map(Number);

test("every style has a colour", () => {
  for (const theme of [light, dark]) {
    const styles = stylesOf(theme);
    assert.equal(styles.length, styleCount);
    for (let i = 0; i < styleCount; i++) assert.match(styles[i] ?? "", /^rgb\(\d+,\d+,\d+\)$/);
  }
});

test("kernel is green, user light blue, metadata dark blue, in every shade and theme", () => {
  for (const theme of [light, dark]) {
    const styles = stylesOf(theme);
    for (let shade = 0; shade < 4; shade++) {
      const [kr, kg, kb] = rgb(styles[ownStyle(Kind.kernel, shade, false)]);
      assert.ok(kg > kr && kg > kb, "kernel");
      const [ur, ug, ub] = rgb(styles[ownStyle(Kind.user, shade, false)]);
      assert.ok(ub > ug && ug > ur && ub > 180, "user");
      const [mr, mg, mb] = rgb(styles[ownStyle(Kind.metadata, shade, false)]);
      assert.ok(mb > mg && mg > mr && mb < 170, "metadata");
    }
  }
});

test("no two kinds are alike", () => {
  for (const { fills } of [light, dark])
    for (let a = 0; a < fills.length; a++)
      for (let b = 0; b < a; b++) {
        const [r, g, blue] = fills[a].map((part, i) => part - fills[b][i]);
        assert.ok(Math.hypot(r, g, blue) > 45, `${a} and ${b}`);
      }
});

test("a run that covers its pixel has the kind's colour, one that does not is closer to the paper", () => {
  const styles = stylesOf(light);
  const full = rgb(styles[runStyle(Kind.kernel, coverSteps, false)]);
  const faint = rgb(styles[runStyle(Kind.kernel, 1, false)]);
  assert.deepEqual(full, [...light.fills[Kind.kernel]]);
  assert.ok(faint.every((part, i) => part > full[i]));
});

test("a name has one shade, and names spread over all of them", () => {
  const shades = new Set<number>();
  for (let i = 0; i < 100; i++) shades.add(shadeOfName(`function_${i}`));
  assert.deepEqual([...shades].sort(), [0, 1, 2, 3]);
  assert.equal(shadeOfName("main"), shadeOfName("main"));
});

function luminance(css: string): number {
  const parts = css.startsWith("#")
    ? [1, 3, 5].map((i) => parseInt(css.slice(i, i + 2), 16))
    : rgb(css);
  const [r, g, b] = parts.map((part) => {
    const c = part / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test("labels can be read on their frames (WCAG AA, 4.5 to 1)", () => {
  for (const theme of [light, dark]) {
    const styles = stylesOf(theme);
    for (let hue = 0; hue < theme.fills.length; hue++) {
      for (let shade = 0; shade < 4; shade++) {
        for (const muted of [false, true]) {
          const a = luminance(styles[ownStyle(hue, shade, muted)]);
          const b = luminance(muted ? theme.mutedText : theme.texts[hue]);
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          assert.ok(contrast >= 4.5, `hue ${hue} shade ${shade} muted ${muted}: ${contrast}`);
        }
      }
    }
  }
});
