// widget.ts: takes an element, a tree and what the user does with mouse and keys, gives the
// flamegraph in it. It knows nothing of the page around it: what others want to know, it tells.
import { nodeAtPlace, noNode } from "./hit";
import { walk } from "./keys";
import type { Matches } from "./match";
import { levelAt, Painter, rowHeightFor, spanOf, topOfLevel, type Geometry } from "./painter";
import type { Theme } from "./palette";
import { levelCount, type FlameTree } from "./tree";
import { between, clampRange, panBy, scrollTo, wholeView, zoomAt, type View } from "./viewport";

export interface WidgetEvents {
  /** The frame under the mouse, or noNode; with the mouse's place on the screen. */
  onHover(node: number, clientX: number, clientY: number): void;
  /** The frame chosen with the keyboard, or noNode. */
  onSelect(node: number): void;
  onView(view: View, isWhole: boolean): void;
  /** Rows that are scrolled out above the canvas. */
  onRowsAbove(rows: number): void;
}

const zoomMs = 180;
/** The mouse may move so far between press and release, in CSS pixels, and it is still a click. */
const clickSlack = 4;

function layer(host: HTMLElement, name: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.className = name;
  host.append(canvas);
  return canvas;
}

export class FlameWidget {
  private readonly base: HTMLCanvasElement;
  private readonly marks: HTMLCanvasElement;
  private readonly painter: Painter;
  private readonly abort = new AbortController();
  private readonly resizes: ResizeObserver;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");
  private geometry: Geometry = { width: 1, height: 1, row: 20, ratio: 1 };
  private tree: FlameTree | null = null;
  private matches: Matches | null = null;
  private view: View = wholeView(1);
  private hover = noNode;
  private selected = noNode;
  private press: { x: number; y: number; view: View; moved: boolean } | null = null;
  private frame = 0;
  private motion: { from: View; to: View; start: number } | null = null;

  constructor(
    private readonly host: HTMLElement,
    private theme: Theme,
    private readonly events: WidgetEvents,
  ) {
    this.base = layer(host, "flame-base");
    this.marks = layer(host, "flame-marks");
    this.painter = new Painter(this.base, getComputedStyle(host).fontFamily, theme);
    this.listen();
    this.resizes = new ResizeObserver(() => this.measure());
    this.resizes.observe(host);
    this.measure();
  }

  destroy(): void {
    this.abort.abort();
    this.resizes.disconnect();
    cancelAnimationFrame(this.frame);
    this.base.remove();
    this.marks.remove();
  }

  setTree(tree: FlameTree): void {
    this.tree = tree;
    this.matches = null;
    this.motion = null;
    this.selected = noNode;
    this.hover = noNode;
    this.painter.setTree(tree);
    this.view = wholeView(tree.total[0]);
    this.measure();
  }

  setMatches(matches: Matches | null): void {
    this.matches = matches;
    this.redraw();
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.painter.setTheme(theme);
    this.redraw();
  }

  /** The frame fills the width; what it was called from stays below it. */
  zoomTo(node: number): void {
    if (!this.tree) return;
    const { x, total } = this.tree;
    const [left, right] = clampRange(x[node], x[node] + total[node], total[0]);
    this.moveTo(node === 0 ? wholeView(total[0]) : { left, right, scroll: this.view.scroll });
  }

  /** Shows this range of samples, at once. */
  show(left: number, right: number): void {
    if (!this.tree) return;
    const [l, r] = clampRange(left, right, this.tree.total[0]);
    this.setView({ left: l, right: r, scroll: this.view.scroll });
  }

  reset(): void {
    this.zoomTo(0);
  }

  private drawNow(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.paint();
  }

  private listen(): void {
    const { signal } = this.abort;
    const { host } = this;
    host.addEventListener("wheel", (e) => this.onWheel(e), { passive: false, signal });
    host.addEventListener("pointerdown", (e) => this.onPress(e), { signal });
    host.addEventListener("pointermove", (e) => this.onMove(e), { signal });
    host.addEventListener("pointerup", (e) => this.onRelease(e), { signal });
    host.addEventListener("lostpointercapture", () => this.endPress(), { signal });
    host.addEventListener("pointerleave", () => this.setHover(noNode, 0, 0), { signal });
    host.addEventListener("focus", () => this.paintMarks(), { signal });
    host.addEventListener("blur", () => this.paintMarks(), { signal });
    host.addEventListener("keydown", (e) => this.onKey(e), { signal });
  }

  private measure(): void {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.host;
    if (clientWidth === 0 || clientHeight === 0) return;
    const rows = this.tree ? levelCount(this.tree) : 1;
    this.geometry = {
      width: Math.round(clientWidth * ratio),
      height: Math.round(clientHeight * ratio),
      row: Math.round(rowHeightFor(rows, clientHeight) * ratio),
      ratio,
    };
    this.marks.width = this.geometry.width;
    this.marks.height = this.geometry.height;
    this.painter.setGeometry(this.geometry);
    this.view = scrollTo(this.view, this.view.scroll, this.maxScroll());
    this.tellView();
    this.drawNow();
  }

  private maxScroll(): number {
    if (!this.tree) return 0;
    return levelCount(this.tree) * this.geometry.row - this.geometry.height;
  }

  private setView(view: View): void {
    this.motion = null;
    this.view = view;
    this.redraw();
    this.tellView();
  }

  private moveTo(to: View): void {
    if (this.calm.matches) {
      this.setView(to);
      return;
    }
    this.motion = { from: this.view, to, start: performance.now() };
    this.redraw();
  }

  private tellView(): void {
    if (!this.tree) return;
    const whole = this.view.right - this.view.left >= Math.max(1, this.tree.total[0]) * (1 - 1e-9);
    this.events.onView(this.view, whole);
    this.events.onRowsAbove(
      Math.max(0, Math.ceil((this.maxScroll() - this.view.scroll) / this.geometry.row)),
    );
  }

  private redraw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame((now) => this.onFrame(now));
  }

  private onFrame(now: number): void {
    this.frame = 0;
    if (this.motion) {
      const t = Math.min(1, Math.max(0, (now - this.motion.start) / zoomMs));
      this.view = between(this.motion.from, this.motion.to, t);
      if (t < 1) this.redraw();
      else this.motion = null;
      this.tellView();
    }
    this.paint();
  }

  private paint(): void {
    if (!this.tree) return;
    this.painter.draw(this.tree, this.view, this.matches);
    this.paintMarks();
  }

  /** The outlines of what the mouse and the keyboard are on: a layer of their own, cheap to move. */
  private paintMarks(): void {
    const context = this.marks.getContext("2d");
    if (!context || !this.tree) return;
    context.clearRect(0, 0, this.geometry.width, this.geometry.height);
    context.strokeStyle = this.theme.outline;
    if (this.hover !== noNode) this.outline(context, this.hover, 1);
    if (this.selected !== noNode && this.host.matches(":focus-visible")) {
      this.outline(context, this.selected, 2);
    }
  }

  private outline(context: CanvasRenderingContext2D, node: number, pixels: number): void {
    if (!this.tree) return;
    const span = spanOf(this.view, this.geometry);
    const left = Math.max(0, (this.tree.x[node] - span.left) * span.scale);
    const end = this.tree.x[node] + this.tree.total[node];
    const right = Math.min(span.width, (end - span.left) * span.scale);
    if (right <= left) return;
    const line = pixels * this.geometry.ratio;
    const top = topOfLevel(this.tree.depth[node], this.view.scroll, this.geometry);
    const width = Math.max(line * 2, Math.round(right) - Math.round(left) - line);
    context.lineWidth = line;
    context.strokeRect(
      Math.round(left) + line / 2,
      top + line / 2,
      width,
      this.geometry.row - line - 1,
    );
  }

  /** A place in the host's box, in device pixels. */
  private place(event: MouseEvent): { x: number; y: number } {
    const box = this.host.getBoundingClientRect();
    const { ratio } = this.geometry;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  private nodeUnder(event: MouseEvent): number {
    if (!this.tree) return noNode;
    const { x, y } = this.place(event);
    const span = spanOf(this.view, this.geometry);
    const level = levelAt(y, this.view.scroll, this.geometry);
    const left = span.left + Math.floor(x) / span.scale;
    return nodeAtPlace(this.tree, level, left, 1 / span.scale);
  }

  private setHover(node: number, clientX: number, clientY: number): void {
    this.events.onHover(node, clientX, clientY);
    this.host.style.cursor = node === noNode ? "default" : "pointer";
    if (node === this.hover) return;
    this.hover = node;
    this.paintMarks();
  }

  private onWheel(event: WheelEvent): void {
    if (!this.tree || event.ctrlKey) return;
    event.preventDefault();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 18 : 1;
    const { left, right } = this.view;
    const perPixel = (right - left) / this.geometry.width;
    const total = this.tree.total[0];
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      this.setView(panBy(this.view, sideways * pixels * this.geometry.ratio * perPixel, total));
    } else {
      const anchor = left + this.place(event).x * perPixel;
      this.setView(zoomAt(this.view, anchor, Math.exp(event.deltaY * pixels * 0.002), total));
    }
    this.setHover(this.nodeUnder(event), event.clientX, event.clientY);
  }

  private onPress(event: PointerEvent): void {
    if (event.button !== 0 || !this.tree) return;
    this.host.setPointerCapture(event.pointerId);
    this.press = { x: event.clientX, y: event.clientY, view: this.view, moved: false };
  }

  private onMove(event: PointerEvent): void {
    if (event.buttons === 0) this.endPress(); // the release was somebody else's
    if (!this.press) {
      this.setHover(this.nodeUnder(event), event.clientX, event.clientY);
      return;
    }
    const dx = event.clientX - this.press.x;
    const dy = event.clientY - this.press.y;
    if (!this.press.moved && Math.hypot(dx, dy) <= clickSlack) return;
    this.press.moved = true;
    this.drag(this.press.view, dx * this.geometry.ratio, dy * this.geometry.ratio);
    this.setHover(noNode, 0, 0);
    this.host.style.cursor = "grabbing";
  }

  private drag(from: View, dx: number, dy: number): void {
    if (!this.tree) return;
    const perPixel = (from.right - from.left) / this.geometry.width;
    const panned = panBy(from, -dx * perPixel, this.tree.total[0]);
    this.setView(scrollTo(panned, from.scroll + dy, this.maxScroll()));
  }

  private onRelease(event: PointerEvent): void {
    const press = this.press;
    this.endPress();
    if (!press || press.moved) {
      this.setHover(this.nodeUnder(event), event.clientX, event.clientY);
      return;
    }
    const node = this.nodeUnder(event);
    if (node === noNode) return;
    this.select(node);
    this.zoomTo(node);
  }

  private endPress(): void {
    this.press = null;
  }

  private select(node: number): void {
    this.selected = node;
    this.events.onSelect(node);
    this.paintMarks();
  }

  private onKey(event: KeyboardEvent): void {
    if (!this.tree || event.ctrlKey || event.metaKey || event.altKey) return;
    const to = walk(this.tree, this.selected, event.key);
    if (to !== null) {
      this.select(to);
      this.reveal(to);
    } else if (!this.act(event.key)) {
      return;
    }
    event.preventDefault();
  }

  private act(key: string): boolean {
    if (!this.tree) return false;
    const total = this.tree.total[0];
    const middle = (this.view.left + this.view.right) / 2;
    if (key === "Enter" || key === " ") this.zoomTo(Math.max(0, this.selected));
    else if (key === "Escape" || key === "Home") this.reset();
    else if (key === "+" || key === "=") this.setView(zoomAt(this.view, middle, 0.8, total));
    else if (key === "-") this.setView(zoomAt(this.view, middle, 1.25, total));
    else if (key === "PageUp") this.scrollRows(10);
    else if (key === "PageDown") this.scrollRows(-10);
    else return false;
    return true;
  }

  scrollRows(rows: number): void {
    const scroll = this.view.scroll + rows * this.geometry.row;
    this.moveTo(scrollTo(this.view, scroll, this.maxScroll()));
  }

  /** Moves the view, if it must, so that the node can be seen. */
  private reveal(node: number): void {
    if (!this.tree) return;
    const { x, total, depth } = this.tree;
    let view = this.view;
    const span = view.right - view.left;
    if (x[node] >= view.right || x[node] + total[node] <= view.left) {
      view = panBy(view, x[node] + total[node] / 2 - (view.left + view.right) / 2, total[0]);
    }
    if (total[node] < span / 400) {
      const left = x[node] - total[node] * 10;
      const [l, r] = clampRange(left, left + total[node] * 21, total[0]);
      view = { ...view, left: l, right: r };
    }
    const { row, height } = this.geometry;
    const bottom = row * depth[node];
    if (bottom - view.scroll < row) view = scrollTo(view, bottom - row, this.maxScroll());
    if (bottom + row - view.scroll > height) {
      view = scrollTo(view, bottom + 2 * row - height, this.maxScroll());
    }
    this.setView(view);
  }
}
