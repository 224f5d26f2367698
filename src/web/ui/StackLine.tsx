// StackLine.tsx: how far the flamegraph is to be trusted: a quiet line, and behind it what its words
// mean and what to do.
import type { Stacks } from "../api";
import { percentText } from "../format";
import { ends, stacks } from "../state";
import { partsByMethod, pendingShare, type Part } from "../stacks";
import { Words } from "./Words";

/** The line is to stay one. */
const partsInLine = 3;

const Shares = ({ parts }: { readonly parts: readonly Part[] }) => (
  <>
    {parts.slice(0, partsInLine).map(({ words, meaning, share }) => (
      <span key={words} class="share" title={meaning}>
        <span class="share-number">{percentText(share)}</span> {words}
      </span>
    ))}
    {parts.length > partsInLine && <span title="Click for all of them">…</span>}
  </>
);

const Meanings = ({ parts }: { readonly parts: readonly Part[] }) => (
  <dl class="meanings">
    {parts.map(({ words, meaning, share }) => (
      <div key={words} class="meaning">
        <span class="share-number">{percentText(share)}</span>
        <dt>{words}</dt>
        <dd>
          <Words text={meaning} />
        </dd>
      </div>
    ))}
  </dl>
);

function Callers({ value }: { readonly value: Stacks }) {
  const pending = pendingShare(value);
  return (
    <section>
      <h3>Callers found by, in all processes of the range</h3>
      <Meanings parts={partsByMethod(value)} />
      {pending > 0 && (
        <p>
          {percentText(pending)} of the stacks were unwound before a table they needed was built, as
          happens when a program is new to its node.
        </p>
      )}
    </section>
  );
}

export function StackLine() {
  const byEnd = ends.value;
  const counted = stacks.value.value;
  const byMethod = counted ? partsByMethod(counted) : [];
  if (byEnd.length === 0) return null;
  return (
    <details class="stacks">
      <summary>
        <span class="shares">
          <span class="share-of">Stacks</span>
          <Shares parts={byEnd} />
        </span>
        {byMethod.length > 0 && (
          <span class="shares">
            <span class="share-of">Callers by</span>
            <Shares parts={byMethod} />
          </span>
        )}
      </summary>
      <div class="stacks-more">
        <section>
          <h3>Stacks of this flamegraph</h3>
          <Meanings parts={byEnd} />
        </section>
        {counted && byMethod.length > 0 && <Callers value={counted} />}
      </div>
    </details>
  );
}
