// FlamePanel.tsx: the flamegraph and what stands around it.
import { flame } from "../state";
import { FlameCanvas } from "./FlameCanvas";
import { EmptyNotice, ErrorNotice } from "./Notice";
import { StackLine } from "./StackLine";
import { StatusLine } from "./StatusLine";
import { Summary } from "./Summary";
import { Toolbar } from "./Toolbar";
import { Tooltip } from "./Tooltip";

export function FlamePanel() {
  const { value, error, loading } = flame.value;
  const empty = value !== null && value.samples === 0;
  return (
    <section class="panel" aria-label="Flamegraph" aria-busy={loading}>
      <div class="panel-head">
        <Summary />
        <Toolbar />
      </div>
      {value !== null && !empty && <StackLine />}
      <div class={loading ? "progress running" : "progress"} />
      {error !== "" && <ErrorNotice text={error} />}
      {empty && error === "" && <EmptyNotice flame={value} />}
      {value !== null && !empty && <FlameCanvas flame={value} />}
      {value !== null && !empty && <StatusLine flame={value} />}
      <Tooltip />
    </section>
  );
}
