// state.ts: takes what the user asks for, gives what the page shows: the address, the requests under
// way and their answers, as signals.
import { computed, effect, signal, type Signal } from "@preact/signals";
import {
  ApiError,
  getFlame,
  getNodes,
  getProcesses,
  getStacks,
  stacksPath,
  type Flame,
  type Node,
  type Processes,
  type Query,
  type Stacks,
} from "./api";
import { findMatches, type Matches } from "./flame/match";
import { dark, light } from "./flame/palette";
import { partsByEnd, type Part } from "./stacks";
import { hasFilter, readUrl, withFilter, withoutLabels, writeUrl } from "./url";

/** An answer stays in sight while the next is on its way, and also when that one fails. */
export interface Answer<T> {
  readonly value: T | null;
  readonly error: string;
  readonly loading: boolean;
}

const nothing = { value: null, error: "", loading: false };

const first = readUrl(location.search);
export const query = signal<Query>(first.query);
export const search = signal(first.search);
export const flame = signal<Answer<Flame>>(nothing);
export const processes = signal<Answer<Processes>>(nothing);
export const stacks = signal<Answer<Stacks>>(nothing);
export const nodes = signal<Answer<Node[]>>(nothing);

const darkWanted = matchMedia("(prefers-color-scheme: dark)");
const isDark = signal(darkWanted.matches);
darkWanted.addEventListener("change", () => (isDark.value = darkWanted.matches));
export const theme = computed(() => (isDark.value ? dark : light));

/** How the stacks of the flamegraph ended. */
export const ends = computed<readonly Part[]>(() => {
  const tree = flame.value.value?.tree;
  return tree ? partsByEnd(tree) : [];
});

export interface Found {
  readonly matches: Matches | null;
  readonly error: string;
}

export const found = computed<Found>(() => {
  const text = search.value.trim();
  const tree = flame.value.value?.tree;
  if (text === "" || !tree) return { matches: null, error: "" };
  try {
    return { matches: findMatches(tree, text), error: "" };
  } catch (error) {
    if (error instanceof SyntaxError) return { matches: null, error: "no regular expression" };
    throw error;
  }
});

// ---- requests: a new one calls off the one before it

function loader<T>(target: Signal<Answer<T>>, ask: (signal: AbortSignal) => Promise<T>) {
  let running: AbortController | null = null;
  return async () => {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    target.value = { ...target.peek(), loading: true };
    try {
      const value = await ask(mine.signal);
      if (running === mine) target.value = { value, error: "", loading: false };
    } catch (error) {
      if (running !== mine) return;
      const reason = error instanceof ApiError ? error.message : String(error);
      target.value = { value: target.peek().value, error: reason, loading: false };
    }
  };
}

const loadFlame = loader(flame, (signal) => getFlame(query.peek(), signal));
const loadProcesses = loader(processes, (signal) => getProcesses(query.peek(), signal));
const loadStacks = loader(stacks, (signal) => getStacks(query.peek(), signal));
const loadNodes = loader(nodes, (signal) => getNodes(signal));

/** The list of nodes is for the empty page only, which has to say what to do. */
effect(() => {
  if (flame.value.value?.samples === 0 && !flame.value.loading) void loadNodes();
});

// ---- what the user does

function showAddress(push: boolean): void {
  const address = location.pathname + writeUrl({ query: query.peek(), search: search.peek() });
  if (address === location.pathname + location.search) return;
  if (push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

function loadAll(): void {
  void loadFlame();
  void loadProcesses();
  void loadStacks();
}

/** What is narrowed within the same range keeps the list of its processes. */
function go(next: Query, keepList: boolean): void {
  const sameStacks = stacksPath(next) === stacksPath(query.peek());
  query.value = next;
  showAddress(true);
  void loadFlame();
  if (!keepList) void loadProcesses();
  if (!keepList || !sameStacks) void loadStacks();
}

/** RUN: asks again, also when nothing was changed. */
export function run(start: string, end: string): void {
  go({ ...query.peek(), start, end }, false);
}

export function groupBy(group: readonly string[]): void {
  go({ ...query.peek(), group }, true);
}

export function showLines(lines: boolean): void {
  go({ ...query.peek(), lines }, true);
}

/** Only this process, or all again if it was chosen already. */
export function toggleProcess(process: string, node: string | null): void {
  const now = query.peek();
  const chosen =
    hasFilter(now, "process", process) && (node === null || hasFilter(now, "node", node));
  const cleared = withoutLabels(now, node === null ? ["process"] : ["process", "node"]);
  if (chosen) {
    go(cleared, true);
    return;
  }
  const narrowed = withFilter(cleared, "process", process);
  go(node === null ? narrowed : withFilter(narrowed, "node", node), true);
}

export function dropFilter(label: string): void {
  go(withoutLabels(query.peek(), [label]), label === "process" || label === "node");
}

export function searchFor(text: string): void {
  search.value = text;
  showAddress(false);
}

export function start(): void {
  addEventListener("popstate", () => {
    const state = readUrl(location.search);
    query.value = state.query;
    search.value = state.search;
    loadAll();
  });
  loadAll();
}
