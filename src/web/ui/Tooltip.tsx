// Tooltip.tsx: the frame under the mouse: its full name, samples and share.
import { useLayoutEffect, useRef } from "preact/hooks";
import { noNode } from "../flame/hit";
import { flame, query } from "../state";
import { hover } from "./FlameCanvas";
import { wordsOf } from "./frame";
import { Words } from "./Words";

const gap = 14;

/** Above the mouse, or below it where there is no room, and within the window. */
function place(box: HTMLElement, x: number, y: number): void {
  const { width, height } = box.getBoundingClientRect();
  const left = Math.max(8, Math.min(x + gap, innerWidth - 8 - width));
  const top = y - gap - height < 8 ? y + gap + 6 : y - gap - height;
  box.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

export function Tooltip() {
  const box = useRef<HTMLDivElement>(null);
  const { node, x, y } = hover.value;
  const shown = flame.value.value;
  useLayoutEffect(() => {
    if (box.current) place(box.current, x, y);
  });
  if (node === noNode || !shown || node >= shown.tree.count) return null;
  const words = wordsOf(shown, query.value.group, node);
  return (
    <div ref={box} class="tooltip" role="tooltip">
      <div class="tooltip-name">{words.name}</div>
      <div class="tooltip-numbers">
        <strong>{words.share}</strong>
        <span>{words.samples}</span>
        <span>{words.cpu}</span>
      </div>
      <div class="tooltip-more">
        {[words.kind, words.object, words.place, words.ofParent, words.self]
          .filter((w) => w !== "")
          .join(" · ")}
      </div>
      {words.meaning !== "" && (
        <div class="tooltip-meaning">
          <Words text={words.meaning} />
        </div>
      )}
    </div>
  );
}
