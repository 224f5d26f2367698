// url.ts: takes the page's address, gives what it shows, and the other way round. Whatever can be
// seen can be sent to somebody else.
import type { Filter, Query } from "./api";

export interface PageState {
  readonly query: Query;
  readonly search: string;
}

export const defaultStart = "-5m";
export const defaultEnd = "now";
export const defaultGroup = "process";

/** Parameters that are no filters. */
const own = new Set(["start", "end", "group", "lines", "search"]);

/** Blanks around a time are slips; the server need not hear of them. */
export function readUrl(search: string): PageState {
  const parameters = new URLSearchParams(search);
  const filters: Filter[] = [];
  for (const [key, value] of parameters) {
    if (!own.has(key) && value !== "") filters.push([key, value]);
  }
  const group = parameters.get("group") ?? defaultGroup;
  return {
    query: {
      start: parameters.get("start")?.trim() || defaultStart,
      end: parameters.get("end")?.trim() || defaultEnd,
      group: group.split(",").filter((label) => label !== ""),
      filters,
      lines: parameters.get("lines") === "true",
    },
    search: parameters.get("search") ?? "",
  };
}

/** "" when all is as it is by default. */
export function writeUrl({ query, search }: PageState): string {
  const parameters = new URLSearchParams();
  if (query.start !== defaultStart) parameters.set("start", query.start);
  if (query.end !== defaultEnd) parameters.set("end", query.end);
  if (query.group.join(",") !== defaultGroup) parameters.set("group", query.group.join(","));
  if (query.lines) parameters.set("lines", "true");
  for (const [label, value] of query.filters) parameters.append(label, value);
  if (search !== "") parameters.set("search", search);
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** Without any filter of these labels. */
export function withoutLabels(query: Query, labels: readonly string[]): Query {
  return { ...query, filters: query.filters.filter(([label]) => !labels.includes(label)) };
}

/** Only this value of the label. */
export function withFilter(query: Query, label: string, value: string): Query {
  const others = withoutLabels(query, [label]);
  return { ...others, filters: [...others.filters, [label, value]] };
}

export function hasFilter(query: Query, label: string, value: string): boolean {
  return query.filters.some(([l, v]) => l === label && v === value);
}
