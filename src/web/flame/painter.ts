// painter.ts: takes a tree and what of it is visible, draws it on a canvas, root at the bottom.
import { percentText } from "../format";
import type { Matches } from "./match";
import {
  css,
  matchHue,
  ownStyle,
  runStyle,
  shadeOfName,
  styleCount,
  stylesOf,
  type Theme,
} from "./palette";
import { boxesFor, scanLevel, type Boxes, type Span } from "./scan";
import { TextFitter } from "./text";
import { Kind, labelOf, levelCount, type FlameTree } from "./tree";
import type { View } from "./viewport";

/** Sizes in device pixels. */
export interface Geometry {
  readonly width: number;
  readonly height: number;
  readonly row: number;
  readonly ratio: number;
}

/** From this many CSS pixels on a box is labelled. */
const labelFrom = 26;
const labelPad = 5;
const noShade = 255;

export function spanOf(view: View, geometry: Geometry): Span {
  const { width } = geometry;
  return { left: view.left, scale: width / (view.right - view.left), width };
}

/** The root's row stays at the bottom; the others scroll above it. */
export function topOfLevel(level: number, scroll: number, geometry: Geometry): number {
  const fromBottom = geometry.row * (level + 1) - (level === 0 ? 0 : Math.round(scroll));
  return geometry.height - fromBottom;
}

export function levelAt(y: number, scroll: number, geometry: Geometry): number {
  const fromBottom = geometry.height - y;
  if (fromBottom <= geometry.row) return 0;
  return Math.floor((fromBottom + Math.round(scroll)) / geometry.row);
}

/** Rows get lower so that all can be seen; where that does not help, they stay easy to read. */
export function rowHeightFor(levels: number, height: number): number {
  const fitting = Math.floor(height / levels);
  return fitting < 16 ? 18 : Math.min(20, fitting);
}

export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private geometry: Geometry = { width: 1, height: 1, row: 20, ratio: 1 };
  private boxes: Boxes = boxesFor(1);
  private styles: string[];
  private shades = new Uint8Array(0);
  private fitter: TextFitter | null = null;
  /** Rectangles to fill, by style: x, y, width, one after the other. */
  private readonly rects: number[][] = Array.from({ length: styleCount }, () => []);

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly font: string,
    private theme: Theme,
  ) {
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("this browser has no 2d canvas");
    this.context = context;
    this.styles = stylesOf(theme);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.styles = stylesOf(theme);
  }

  setGeometry(geometry: Geometry): void {
    this.geometry = geometry;
    this.canvas.width = geometry.width;
    this.canvas.height = geometry.height;
    this.boxes = boxesFor(geometry.width);
    this.context.font = `${Math.round(12 * geometry.ratio)}px ${this.font}`;
    this.context.fontKerning = "none";
    this.context.textBaseline = "middle";
    this.fitter = new TextFitter((text) => this.context.measureText(text).width);
  }

  setTree(tree: FlameTree): void {
    this.shades = new Uint8Array(tree.names.length).fill(noShade);
  }

  draw(tree: FlameTree, view: View, matches: Matches | null): void {
    const { height } = this.geometry;
    this.clear(0, height);
    for (let level = levelCount(tree) - 1; level >= 1; level--) {
      this.drawLevel(tree, level, view, matches);
    }
    // The root's row lies over what is scrolled beneath it.
    const top = topOfLevel(0, 0, this.geometry);
    this.clear(top, height - top);
    this.drawLevel(tree, 0, view, matches);
  }

  private clear(top: number, height: number): void {
    this.context.fillStyle = css(this.theme.background);
    this.context.fillRect(0, top, this.geometry.width, height);
  }

  private shade(tree: FlameTree, node: number): number {
    const name = tree.name[node];
    if (this.shades[name] === noShade) this.shades[name] = shadeOfName(tree.names[name]);
    return this.shades[name];
  }

  private drawLevel(tree: FlameTree, level: number, view: View, matches: Matches | null): void {
    const top = topOfLevel(level, view.scroll, this.geometry);
    if (top >= this.geometry.height || top + this.geometry.row <= 0) return;
    const span = spanOf(view, this.geometry);
    scanLevel(tree, level, span, matches ? matches.before : null, this.boxes);
    this.fillBoxes(tree, view, top, matches !== null);
    this.labelBoxes(tree, view, top, matches !== null);
  }

  /** What steps back: what does not match, and what was zoomed into (it passes both edges). */
  private isMuted(tree: FlameTree, box: number, view: View, searching: boolean): boolean {
    const node = this.boxes.node[box];
    // Groups stay: they tell where one is.
    if (this.boxes.match[box] || tree.kind[node] === Kind.metadata) return false;
    if (searching || this.boxes.cover[box]) return searching;
    const left = tree.x[node];
    const right = left + tree.total[node];
    const span = view.right - view.left;
    return left <= view.left && right >= view.right && right - left > span * (1 + 1e-6);
  }

  private styleOf(tree: FlameTree, box: number, muted: boolean): number {
    const { node, cover, match } = this.boxes;
    const hue = match[box] ? matchHue : tree.kind[node[box]];
    if (cover[box] === 0) return ownStyle(hue, this.shade(tree, node[box]), muted);
    // A match shows even where it is the smallest part of its pixel.
    return runStyle(hue, match[box] ? Math.max(2, cover[box]) : cover[box], muted);
  }

  private fillBoxes(tree: FlameTree, view: View, top: number, searching: boolean): void {
    const { boxes, rects } = this;
    const used: number[] = [];
    for (let i = 0; i < boxes.count; i++) {
      const style = this.styleOf(tree, i, this.isMuted(tree, i, view, searching));
      const width = boxes.end[i] - boxes.start[i];
      // A gap between neighbours, where it does not eat them up.
      const gap = boxes.cover[i] === 0 && width >= 4 && boxes.end[i] < this.geometry.width ? 1 : 0;
      const list = rects[style];
      if (list.length === 0) used.push(style);
      list.push(boxes.start[i], width - gap);
    }
    const height = this.geometry.row - Math.max(1, Math.round(this.geometry.ratio));
    for (const style of used) {
      const list = rects[style];
      this.context.fillStyle = this.styles[style];
      for (let i = 0; i < list.length; i += 2) {
        this.context.fillRect(list[i], top, list[i + 1], height);
      }
      list.length = 0;
    }
  }

  private labelBoxes(tree: FlameTree, view: View, top: number, searching: boolean): void {
    const { boxes, geometry, context } = this;
    const pad = Math.round(labelPad * geometry.ratio);
    const least = labelFrom * geometry.ratio;
    const middle = top + (geometry.row - geometry.ratio) / 2 + 0.5 * geometry.ratio;
    for (let i = 0; i < boxes.count; i++) {
      const width = boxes.end[i] - boxes.start[i];
      if (boxes.cover[i] || width < least || !this.fitter) continue;
      const node = boxes.node[i];
      const text = this.label(tree, node, width - 2 * pad, this.fitter);
      if (text === "") continue;
      const hue = boxes.match[i] ? matchHue : tree.kind[node];
      const muted = this.isMuted(tree, i, view, searching);
      context.fillStyle = muted ? this.theme.mutedText : this.theme.texts[hue];
      context.fillText(text, boxes.start[i] + pad, middle);
    }
  }

  /** Groups tell their share too, where there is room for it. */
  private label(tree: FlameTree, node: number, room: number, fitter: TextFitter): string {
    const name = labelOf(tree, node);
    if (tree.kind[node] === Kind.metadata && node !== 0) {
      const both = `${name}  ${percentText(tree.total[node] / tree.total[0])}`;
      if (fitter.fit(both, room) === both) return both;
    }
    return fitter.fit(name, room);
  }
}
