// Notice.tsx: what stands in the flamegraph's place when there is none, and what to do about it.
import type { Flame, Node } from "../api";
import { nodes, query, run } from "../state";
import { ageText, rangeText, rfc3339 } from "../time";
import { withoutLabels } from "../url";
import { dropFilter } from "../state";

export function ErrorNotice({ text }: { readonly text: string }) {
  return (
    <div class="error" role="alert">
      {text}
    </div>
  );
}

/** Five minutes around the last thing a node sent. */
function showLatest(node: Node): void {
  run(rfc3339(node.lastMs - 300_000), rfc3339(node.lastMs + 1000));
}

function NoAgent() {
  return (
    <>
      <h2>No node has sent anything yet</h2>
      <p>Start the agent on a node, as root, and give it this server's address:</p>
      <pre>sudo podflamed --server {location.origin}</pre>
      <p>Its first samples are here within ten seconds; then press RUN.</p>
    </>
  );
}

function NothingHere({ flame, latest }: { readonly flame: Flame; readonly latest: Node | null }) {
  const labels = [...new Set(query.value.filters.map(([label]) => label))];
  const bare = withoutLabels(query.value, labels);
  return (
    <>
      <h2>No samples here</h2>
      <p>
        Nothing was sampled in {rangeText(flame.startMs, flame.endMs, Date.now())}
        {labels.length > 0 && " with these filters"}.
      </p>
      {latest && (
        <p>
          {latest.node} sent its last samples {ageText(latest.lastMs, Date.now())}.
        </p>
      )}
      <div class="choices">
        {labels.map((label) => (
          <button key={label} type="button" class="choice" onClick={() => dropFilter(label)}>
            Any {label}
          </button>
        ))}
        <button type="button" class="choice" onClick={() => run("-1h", "now")}>
          Last hour
        </button>
        {latest && bare.filters.length === 0 && (
          <button type="button" class="choice" onClick={() => showLatest(latest)}>
            The last samples of {latest.node}
          </button>
        )}
      </div>
    </>
  );
}

export function EmptyNotice({ flame }: { readonly flame: Flame }) {
  const { value, loading } = nodes.value;
  if (value === null && loading) return <div class="empty" />;
  const latest = [...(value ?? [])].sort((a, b) => b.lastMs - a.lastMs)[0] ?? null;
  return (
    <div class="empty">
      {value !== null && value.length === 0 ? (
        <NoAgent />
      ) : (
        <NothingHere flame={flame} latest={latest} />
      )}
    </div>
  );
}
