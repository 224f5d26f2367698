// FlameCanvas.tsx: the flamegraph widget as a component.
import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Flame } from "../api";
import { noNode } from "../flame/hit";
import { FlameWidget } from "../flame/widget";
import { found, theme } from "../state";

export interface Hover {
  readonly node: number;
  readonly x: number;
  readonly y: number;
}

const away: Hover = { node: noNode, x: 0, y: 0 };

export const hover = signal<Hover>(away);
export const selected = signal(noNode);
export const zoomed = signal<{ readonly left: number; readonly right: number } | null>(null);

export const rowsAbove = signal(0);

/** The canvas's own verbs, for the buttons beside it. */
export const control = signal<Pick<FlameWidget, "reset" | "zoomTo" | "scrollRows"> | null>(null);

interface FlameCanvasProps {
  readonly flame: Flame;
}

export function FlameCanvas({ flame }: FlameCanvasProps) {
  const host = useRef<HTMLDivElement>(null);
  const widget = useRef<FlameWidget | null>(null);

  useEffect(() => {
    if (!host.current) return undefined;
    const made = new FlameWidget(host.current, theme.peek(), {
      onHover: (node, x, y) => {
        hover.value = node === noNode ? away : { node, x, y };
      },
      onSelect: (node) => {
        selected.value = node;
      },
      onView: (view, isWhole) => {
        zoomed.value = isWhole ? null : { left: view.left, right: view.right };
      },
      onRowsAbove: (rows) => {
        rowsAbove.value = rows;
      },
    });
    widget.current = made;
    control.value = made;
    return () => {
      made.destroy();
      widget.current = null;
      control.value = null;
      hover.value = away;
    };
  }, []);

  useEffect(() => {
    hover.value = away;
    selected.value = noNode;
    widget.current?.setTree(flame.tree);
    widget.current?.setMatches(found.peek().matches);
  }, [flame]);

  useSignalEffect(() => widget.current?.setMatches(found.value.matches));
  useSignalEffect(() => widget.current?.setTheme(theme.value));

  return (
    <div class="flame-box">
      <div
        ref={host}
        class="flame"
        tabIndex={0}
        role="application"
        aria-label="Flamegraph. Arrow keys walk the frames, Enter zooms, Escape shows all."
        aria-describedby="frame-words"
      />
      <MoreRows />
    </div>
  );
}

/** Deep stacks go on above the canvas: says so, and goes there. */
function MoreRows() {
  const rows = rowsAbove.value;
  if (rows === 0) return null;
  return (
    <button type="button" class="more-rows" onClick={() => control.value?.scrollRows(20)}>
      ▲ {rows} more {rows === 1 ? "row" : "rows"}
    </button>
  );
}
