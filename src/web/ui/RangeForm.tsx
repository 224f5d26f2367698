// RangeForm.tsx: from when to when, and RUN.
import { useEffect, useState } from "preact/hooks";
import { flame, query, run } from "../state";
import { completeTime } from "../time";
import { defaultEnd, defaultStart } from "../url";

const presets = ["-5m", "-15m", "-1h", "-6h", "-1d", "-7d"];
const presetNames: Readonly<Record<string, string>> = { "-1d": "1 day", "-7d": "7 days" };

const presetName = (start: string) =>
  presetNames[start] ?? start.slice(1).replace("m", " min").replace("h", " h");

/** The server's reason names the parameter it is about. */
const isAbout = (parameter: string, error: string) =>
  new RegExp(`\\b(parameter )?${parameter}\\b`).test(error);

interface TimeFieldProps {
  readonly label: string;
  readonly value: string;
  readonly wrong: boolean;
  onInput(text: string): void;
}

function TimeField({ label, value, wrong, onInput }: TimeFieldProps) {
  return (
    <label class="field">
      <span class="field-name">{label}</span>
      <input
        name={label}
        value={value}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={wrong}
        aria-describedby="time-help"
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

function Presets({ start, onPick }: { readonly start: string; onPick(start: string): void }) {
  return (
    <div class="presets" role="group" aria-label="Last">
      {presets.map((preset) => (
        <button
          key={preset}
          type="button"
          class="preset"
          aria-pressed={start === preset && query.value.end === defaultEnd}
          onClick={() => onPick(preset)}
        >
          {presetName(preset)}
        </button>
      ))}
    </div>
  );
}

export function RangeForm() {
  const { start: shownStart, end: shownEnd } = query.value;
  const [start, setStart] = useState(shownStart);
  const [end, setEnd] = useState(shownEnd);
  useEffect(() => setStart(shownStart), [shownStart]);
  useEffect(() => setEnd(shownEnd), [shownEnd]);
  const { error, loading } = flame.value;

  const ask = (from: string, to: string) => {
    const first = completeTime(from) || defaultStart;
    const last = completeTime(to) || defaultEnd;
    setStart(first);
    setEnd(last);
    run(first, last);
  };
  return (
    <form
      class="range"
      onSubmit={(event) => {
        event.preventDefault();
        ask(start, end);
      }}
    >
      <TimeField
        label="start_time"
        value={start}
        wrong={isAbout("start", error)}
        onInput={setStart}
      />
      <TimeField label="end_time" value={end} wrong={isAbout("end", error)} onInput={setEnd} />
      <button class="run" type="submit" aria-busy={loading}>
        RUN
      </button>
      <Presets start={shownStart} onPick={(preset) => ask(preset, defaultEnd)} />
      <span id="time-help" class="unseen">
        now, an age such as -5m, -1h or -2d, 2026-11-22 16:00, RFC 3339, or seconds since 1970
      </span>
    </form>
  );
}
