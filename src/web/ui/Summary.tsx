// Summary.tsx: how much was sampled, of how much, when, and what it was narrowed to.
import { countText, durationText, percentText } from "../format";
import { dropFilter, flame, processes, query } from "../state";
import { rangeText } from "../time";

function Chips() {
  return (
    <>
      {query.value.filters.map(([label, value]) => (
        <button
          key={`${label}=${value}`}
          type="button"
          class="chip"
          title={`Show every ${label} again`}
          onClick={() => dropFilter(label)}
        >
          <span class="chip-label">{label}</span> {value}
          <span class="chip-x" aria-hidden="true">
            ×
          </span>
        </button>
      ))}
    </>
  );
}

export function Summary() {
  const shown = flame.value.value;
  const all = processes.value.value;
  if (!shown)
    return <div class="summary quiet">{flame.value.loading ? "Asking the server…" : ""}</div>;
  const isAll = query.value.filters.length === 0 && shown.samples > 0;
  const load = isAll && all && all.capacityMs > 0 ? all.cpuMs / all.capacityMs : null;
  return (
    <div class="summary">
      <strong>{countText(shown.samples)} samples</strong>
      <span>{durationText(shown.cpuMs)} CPU</span>
      {load !== null && <span>{percentText(load)} of the CPUs</span>}
      <span class="quiet">{rangeText(shown.startMs, shown.endMs, Date.now())}</span>
      <Chips />
    </div>
  );
}
