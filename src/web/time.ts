// time.ts: takes times as people write them, gives what the server takes; and times from the server
// as people read them. What a time may look like is the server's to say: what this does not know it
// hands on unchanged, and the server's answer tells what is wrong with it.

const zoneless = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?)?$/;

const two = (n: number) => String(n).padStart(2, "0");

/** Minutes east of Greenwich as +01:00. */
function zoneText(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** "2026-11-22 16:00" means the reader's own time; the server wants a zone, and so does a link. */
export function completeTime(text: string): string {
  const trimmed = text.trim();
  const match = zoneless.exec(trimmed);
  if (!match) return trimmed;
  const clock = `${match[1]}T${match[2] ?? "00:00"}${match[3] ?? ":00"}`;
  const date = new Date(clock);
  if (Number.isNaN(date.getTime())) return trimmed;
  return clock + zoneText(-date.getTimezoneOffset());
}

function clockText(date: Date, withSeconds: boolean): string {
  const seconds = withSeconds ? `:${two(date.getSeconds())}` : "";
  return `${two(date.getHours())}:${two(date.getMinutes())}${seconds}`;
}

function dayText(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** "16:00:00 – 16:05:00", with days where they are not today. */
export function rangeText(startMs: number, endMs: number, nowMs: number): string {
  const start = new Date(startMs);
  const end = new Date(endMs);
  const today = dayText(new Date(nowMs));
  const withSeconds = endMs - startMs < 6 * 3600 * 1000;
  const sameDay = dayText(start) === dayText(end);
  const first = sameDay && dayText(start) === today ? "" : `${dayText(start)} `;
  const second = sameDay ? "" : `${dayText(end)} `;
  return `${first}${clockText(start, withSeconds)} – ${second}${clockText(end, withSeconds)}`;
}

/** The time as an input takes it, to the second, in UTC. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** "2 min ago" */
export function ageText(ms: number, nowMs: number): string {
  const s = Math.max(0, Math.round((nowMs - ms) / 1000));
  if (s < 90) return `${s} s ago`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min ago`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}
