// palette.ts: takes a node's kind and name, gives its colours in the light and the dark theme.
import { kindCount } from "./tree";
import { coverSteps } from "./scan";

type Rgb = readonly [number, number, number];

export interface Theme {
  readonly background: Rgb;
  /** By kind; one more for matches of the search. */
  readonly fills: readonly Rgb[];
  readonly texts: readonly string[];
  readonly mutedText: string;
  readonly outline: string;
  /** How much of a muted box's colour is left. */
  readonly muted: number;
}

/** The hue behind the kinds: matches of the search. */
export const matchHue = kindCount;
const hueCount = kindCount + 1;
const shadeCount = 4;
const variantCount = shadeCount + coverSteps;

export const light: Theme = {
  background: [255, 255, 255],
  fills: [
    [49, 80, 135],
    [158, 204, 245],
    [139, 206, 153],
    [244, 204, 134],
    [200, 170, 238],
    [208, 212, 218],
    [236, 122, 176],
  ],
  texts: ["#ffffff", "#10253b", "#0f2d18", "#3a2705", "#22124a", "#2c3138", "#3d0a22"],
  mutedText: "#3b434e",
  outline: "#10151c",
  muted: 0.4,
};

export const dark: Theme = {
  background: [22, 26, 32],
  fills: [
    [48, 76, 126],
    [104, 160, 208],
    [97, 168, 115],
    [201, 155, 79],
    [158, 124, 206],
    [138, 145, 155],
    [224, 112, 166],
  ],
  texts: ["#dfe9fb", "#08131f", "#06170b", "#1d1302", "#12082c", "#0d1014", "#2b0416"],
  mutedText: "#b9c2cd",
  outline: "#f3f6fa",
  muted: 0.36,
};

function mix(a: Rgb, b: Rgb, share: number): Rgb {
  const part = (i: 0 | 1 | 2) => Math.round(a[i] * share + b[i] * (1 - share));
  return [part(0), part(1), part(2)];
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r},${g},${b})`;
}

/** Neighbours of one kind differ a little, so that the eye keeps them apart. */
function shadeOf(fill: Rgb, shade: number): Rgb {
  const towards: Rgb = shade < 2 ? [255, 255, 255] : [0, 0, 0];
  return mix(fill, towards, 1 - [0.14, 0.05, 0.02, 0.07][shade]);
}

/** Which of the shades a name has: the same on every load. */
export function shadeOfName(name: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (shadeCount - 1);
}

/** Styles are numbered, so that boxes can be drawn style by style. */
export const styleCount = hueCount * variantCount * 2;

export function ownStyle(hue: number, shade: number, muted: boolean): number {
  return (hue * variantCount + shade) * 2 + (muted ? 1 : 0);
}

export function runStyle(hue: number, cover: number, muted: boolean): number {
  return (hue * variantCount + shadeCount + cover - 1) * 2 + (muted ? 1 : 0);
}

/** The CSS colour of every style. */
export function stylesOf(theme: Theme): string[] {
  const styles = new Array<string>(styleCount);
  for (let hue = 0; hue < hueCount; hue++) {
    const muted = (rgb: Rgb) => css(mix(rgb, theme.background, theme.muted));
    for (let shade = 0; shade < shadeCount; shade++) {
      const rgb = shadeOf(theme.fills[hue], shade);
      styles[ownStyle(hue, shade, false)] = css(rgb);
      styles[ownStyle(hue, shade, true)] = muted(rgb);
    }
    for (let cover = 1; cover <= coverSteps; cover++) {
      const rgb = mix(theme.fills[hue], theme.background, cover / coverSteps);
      styles[runStyle(hue, cover, false)] = css(rgb);
      styles[runStyle(hue, cover, true)] = muted(rgb);
    }
  }
  return styles;
}

/** What each kind is called in the legend and the tooltip. */
export const kindNames: readonly string[] = [
  "group",
  "user",
  "kernel",
  "JIT code",
  "inlined",
  "marker",
];
