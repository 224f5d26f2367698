// StatusLine.tsx: below the flamegraph: the chosen frame, the way out of a zoom, and the legend.
import type { Flame } from "../api";
import { noNode } from "../flame/hit";
import { css, kindNames, matchHue } from "../flame/palette";
import { Kind } from "../flame/tree";
import { countText, percentText } from "../format";
import { found, query, theme } from "../state";
import { control, selected, zoomed } from "./FlameCanvas";
import { wordsOf } from "./frame";

function Legend({ flame }: { readonly flame: Flame }) {
  const seen = new Set(flame.tree.kind);
  const kinds = [Kind.user, Kind.kernel, Kind.jit, Kind.inlined, Kind.marker];
  const swatch = (hue: number, name: string) => (
    <span class="swatch-pair" key={name}>
      <span class="swatch" style={{ background: css(theme.value.fills[hue]) }} />
      {name}
    </span>
  );
  return (
    <span class="legend">
      {kinds.filter((kind) => seen.has(kind)).map((kind) => swatch(kind, kindNames[kind]))}
      {found.value.matches && swatch(matchHue, "found")}
    </span>
  );
}

function chosenText(flame: Flame): string {
  const node = selected.value;
  if (node === noNode || node >= flame.tree.count) return "";
  const words = wordsOf(flame, query.value.group, node);
  return [words.name, words.share, words.samples, words.place, words.meaning]
    .filter((text) => text !== "")
    .join(" · ");
}

export function StatusLine({ flame }: { readonly flame: Flame }) {
  const view = zoomed.value;
  const chosen = chosenText(flame);
  const span = view ? (view.right - view.left) / flame.tree.total[0] : 1;
  return (
    <footer class="status">
      <span id="frame-words" class="chosen" role="status" title={chosen}>
        {chosen || "Click a frame to zoom in; scroll to zoom, drag to move."}
      </span>
      {flame.foldedNodes > 0 && (
        <span class="quiet">{countText(flame.foldedNodes)} tiny frames left out</span>
      )}
      {view && (
        <button type="button" class="plain" onClick={() => control.value?.reset()}>
          Showing {percentText(span)} — show all
        </button>
      )}
      <Legend flame={flame} />
    </footer>
  );
}
