// Toolbar.tsx: search, and what the frames are grouped by.
import { flame, found, groupBy, query, search, searchFor, showLines } from "../state";
import { percentText } from "../format";

const groups: readonly (readonly [value: string, name: string])[] = [
  ["process", "process"],
  ["process,thread", "process, thread"],
  ["node,process", "node, process"],
  ["", "nothing"],
];

function GroupSelect() {
  const now = query.value.group.join(",");
  const known = groups.some(([value]) => value === now);
  return (
    <label class="inline-field">
      <span>Group by</span>
      <select
        value={now}
        onChange={(event) => groupBy(event.currentTarget.value.split(",").filter((l) => l !== ""))}
      >
        {groups.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
        {!known && <option value={now}>{query.value.group.join(", ")}</option>}
      </select>
    </label>
  );
}

function LinesSwitch() {
  return (
    <label class="inline-field" title="A frame for each line of a function, where lines are known">
      <input
        type="checkbox"
        name="lines"
        checked={query.value.lines}
        onChange={(event) => showLines(event.currentTarget.checked)}
      />
      <span>Lines</span>
    </label>
  );
}

function foundText(): string {
  const { matches, error } = found.value;
  if (error !== "") return error;
  const total = flame.value.value?.tree.total[0] ?? 0;
  if (!matches || total === 0) return "";
  return matches.nodes === 0 ? "no match" : `${percentText(matches.samples / total)} matched`;
}

export function Toolbar() {
  return (
    <div class="toolbar">
      <GroupSelect />
      <LinesSwitch />
      <label class="search">
        <span class="unseen">Search functions</span>
        <input
          type="search"
          placeholder="Search functions"
          title="Part of a name, or /a regular expression/"
          spellcheck={false}
          value={search.value}
          onInput={(event) => searchFor(event.currentTarget.value)}
        />
        <output class="found">{foundText()}</output>
      </label>
    </div>
  );
}
