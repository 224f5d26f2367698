// ProcessList.tsx: who used the CPU, most first; a click shows only that process.
import { useState } from "preact/hooks";
import type { Process } from "../api";
import { countText, durationText, percentText } from "../format";
import { processes, query, toggleProcess } from "../state";
import { hasFilter } from "../url";

/** More rows than anyone reads cost time on every click. */
const rowsShown = 200;

interface RowProps {
  readonly row: Process;
  readonly many: boolean;
  readonly widest: number;
}

function Row({ row, many, widest }: RowProps) {
  const node = many ? row.node : null;
  const chosen =
    hasFilter(query.value, "process", row.process) &&
    (node === null || hasFilter(query.value, "node", node) || !hasLabel("node"));
  const title = `${row.process}\n${countText(row.samples)} samples, ${durationText(row.cpuMs)} CPU`;
  return (
    <li>
      <button
        type="button"
        class="process"
        aria-pressed={chosen}
        title={title}
        onClick={() => toggleProcess(row.process, node)}
      >
        <span class="process-name">{row.process || "(no name)"}</span>
        {node !== null && <span class="process-node">{node}</span>}
        <span class="process-share">{percentText(row.share)}</span>
        <span class="bar">
          <span class="bar-fill" style={{ width: `${(100 * row.share) / widest}%` }} />
        </span>
      </button>
    </li>
  );
}

function hasLabel(label: string): boolean {
  return query.value.filters.some(([key]) => key === label);
}

export function ProcessList() {
  const [text, setText] = useState("");
  const { value, error, loading } = processes.value;
  const rows = value?.processes ?? [];
  const many = new Set(rows.map((row) => row.node)).size > 1;
  const wanted = text.trim().toLowerCase();
  const found = rows.filter((row) => row.process.toLowerCase().includes(wanted));
  const widest = Math.max(1e-9, ...rows.slice(0, 1).map((row) => row.share));
  return (
    <aside class="processes" aria-label="Processes" aria-busy={loading}>
      <div class="processes-head">
        <h2>Processes</h2>
        <span class="quiet">{rows.length > 0 && `${countText(rows.length)} · CPU share`}</span>
      </div>
      {rows.length > 8 && (
        <input
          class="processes-find"
          type="search"
          placeholder="Find a process"
          aria-label="Find a process"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      )}
      <ul class="process-rows">
        {found.slice(0, rowsShown).map((row) => (
          <Row key={`${row.node}/${row.process}`} row={row} many={many} widest={widest} />
        ))}
      </ul>
      {found.length > rowsShown && (
        <p class="quiet note">{countText(found.length - rowsShown)} more; find them by name.</p>
      )}
      {rows.length > 0 && found.length === 0 && <p class="quiet note">No process has this name.</p>}
      {rows.length === 0 && !loading && (
        <p class="quiet note">{error === "" ? "None in this range." : "Not known."}</p>
      )}
    </aside>
  );
}
