// api.ts: takes a query, gives the server's answer in types. What the answers hold is described in
// src/server/openapi.json; test/api.test.ts reads its examples with the functions below.
import { BadTree, buildTree, type FlameTree } from "./flame/tree";

/** One label and the value asked for; a label may stand more than once. */
export type Filter = readonly [label: string, value: string];

export interface Query {
  readonly start: string;
  readonly end: string;
  /** Labels that stand before the frames; none is an empty list. */
  readonly group: readonly string[];
  readonly filters: readonly Filter[];
  /** A function is a frame for each of its lines. */
  readonly lines: boolean;
}

export interface Flame {
  readonly startMs: number;
  readonly endMs: number;
  readonly samples: number;
  readonly cpuMs: number;
  readonly periodNs: number;
  readonly foldedNodes: number;
  readonly tree: FlameTree;
}

export interface Process {
  readonly node: string;
  readonly process: string;
  readonly samples: number;
  readonly cpuMs: number;
  readonly share: number;
}

export interface Processes {
  readonly startMs: number;
  readonly endMs: number;
  readonly samples: number;
  readonly cpuMs: number;
  readonly capacityMs: number;
  readonly processes: readonly Process[];
}

export interface Node {
  readonly node: string;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** What the agents counted in a range, by their own names for it. */
export interface Stacks {
  readonly ends: ReadonlyMap<string, number>;
  readonly methods: ReadonlyMap<string, number>;
  readonly pending: number;
}

/** What a person is told: the server's reason where it gave one. */
export class ApiError extends Error {}

// ---- reading answers

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(value: unknown, what: string): Json {
  if (!isObject(value)) throw new ApiError(`the server's answer is odd: ${what} is no object`);
  return value;
}

function list(json: Json, key: string): readonly unknown[] {
  const value = json[key];
  if (!Array.isArray(value)) throw new ApiError(`the server's answer is odd: ${key} is no list`);
  return value;
}

function number(json: Json, key: string): number {
  const value = json[key];
  if (typeof value !== "number") {
    throw new ApiError(`the server's answer is odd: ${key} is no number`);
  }
  return value;
}

function text(json: Json, key: string): string {
  const value = json[key];
  if (typeof value !== "string")
    throw new ApiError(`the server's answer is odd: ${key} is no text`);
  return value;
}

function texts(json: Json, key: string): string[] {
  return list(json, key).map((value) => {
    if (typeof value !== "string") {
      throw new ApiError(`the server's answer is odd: ${key} holds what is no text`);
    }
    return value;
  });
}

function counts(json: Json, key: string): ReadonlyMap<string, number> {
  const of = object(json[key], key);
  return new Map(Object.keys(of).map((name) => [name, number(of, name)]));
}

/** Short forms by rows of the names. */
function shortNames(json: Json): ReadonlyMap<number, string> {
  const short = object(json["short"], "short");
  const rows = list(short, "name");
  return new Map(texts(short, "text").map((text, i) => [Number(rows[i]), text]));
}

/** A column's numbers. What is none becomes NaN, which no typed array of counts lets through. */
function column(json: Json, key: string): Float64Array {
  const values = list(json, key);
  const numbers = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== "number") {
      throw new ApiError(`the server's answer is odd: nodes.${key}[${i}] is no number`);
    }
    numbers[i] = value;
  }
  return numbers;
}

export function readFlame(value: unknown): Flame {
  const json = object(value, "the flame");
  const nodes = object(json["nodes"], "nodes");
  try {
    return {
      startMs: number(json, "start_ms"),
      endMs: number(json, "end_ms"),
      samples: number(json, "samples"),
      cpuMs: number(json, "cpu_ms"),
      periodNs: number(json, "period_ns"),
      foldedNodes: number(json, "folded_nodes"),
      tree: buildTree({
        names: texts(json, "names"),
        short: shortNames(json),
        objects: texts(json, "objects"),
        files: "files" in json ? texts(json, "files") : undefined,
        file: "file" in nodes ? column(nodes, "file") : undefined,
        line: "line" in nodes ? column(nodes, "line") : undefined,
        depth: column(nodes, "depth"),
        name: column(nodes, "name"),
        object: column(nodes, "object"),
        kind: column(nodes, "kind"),
        self: column(nodes, "self"),
        total: column(nodes, "total"),
      }),
    };
  } catch (error) {
    if (error instanceof BadTree) {
      throw new ApiError(`the server's answer is odd: ${error.message}`);
    }
    throw error;
  }
}

export function readProcesses(value: unknown): Processes {
  const json = object(value, "the process list");
  return {
    startMs: number(json, "start_ms"),
    endMs: number(json, "end_ms"),
    samples: number(json, "samples"),
    cpuMs: number(json, "cpu_ms"),
    capacityMs: number(json, "capacity_ms"),
    processes: list(json, "processes").map((row) => {
      const process = object(row, "a process");
      return {
        node: text(process, "node"),
        process: text(process, "process"),
        samples: number(process, "samples"),
        cpuMs: number(process, "cpu_ms"),
        share: number(process, "share"),
      };
    }),
  };
}

export function readNodes(value: unknown): Node[] {
  return list(object(value, "the node list"), "nodes").map((row) => {
    const node = object(row, "a node");
    return {
      node: text(node, "node"),
      firstMs: number(node, "first_ms"),
      lastMs: number(node, "last_ms"),
    };
  });
}

export function readStacks(value: unknown): Stacks {
  const json = object(value, "the stacks' counts");
  return {
    ends: counts(json, "ends"),
    methods: counts(json, "methods"),
    pending: number(json, "pending"),
  };
}

/** The reason in an error's body, or what its status says. */
export function readError(status: number, body: string): string {
  try {
    const json: unknown = JSON.parse(body);
    if (isObject(json) && typeof json["error"] === "string") return json["error"];
  } catch {
    // Not ours: a proxy on the way answered.
  }
  return `the server answered with status ${status}`;
}

// ---- asking

function rangeOf(query: Query): string[][] {
  return [
    ["start", query.start],
    ["end", query.end],
  ];
}

export function flamePath(query: Query): string {
  const parameters = [...rangeOf(query), ["group", query.group.join(",")]];
  if (query.lines) parameters.push(["lines", "true"]);
  for (const [label, value] of query.filters) parameters.push([label, value]);
  return `api/v1/flame?${new URLSearchParams(parameters).toString()}`;
}

/** The list is not narrowed by process and node: it is where one chooses them. */
export function processesPath(query: Query): string {
  const parameters = rangeOf(query);
  for (const [label, value] of query.filters) {
    if (label !== "process" && label !== "node") parameters.push([label, value]);
  }
  return `api/v1/processes?${new URLSearchParams(parameters).toString()}`;
}

/** What the agents count, they count of all processes: nothing but the node narrows it. */
export function stacksPath(query: Query): string {
  const parameters = rangeOf(query);
  for (const [label, value] of query.filters) {
    if (label === "node") parameters.push([label, value]);
  }
  return `api/v1/stacks?${new URLSearchParams(parameters).toString()}`;
}

async function get<T>(path: string, read: (json: unknown) => T, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(new URL(path, document.baseURI), { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(`podflame-server does not answer at ${location.host}. Is it still running?`);
  }
  if (!response.ok) throw new ApiError(readError(response.status, await response.text()));
  let json: unknown;
  try {
    json = await response.json();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError("the server's answer was cut off");
  }
  return read(json);
}

export const getFlame = (query: Query, signal: AbortSignal): Promise<Flame> =>
  get(flamePath(query), readFlame, signal);
export const getProcesses = (query: Query, signal: AbortSignal): Promise<Processes> =>
  get(processesPath(query), readProcesses, signal);
export const getStacks = (query: Query, signal: AbortSignal): Promise<Stacks> =>
  get(stacksPath(query), readStacks, signal);
export const getNodes = (signal: AbortSignal): Promise<Node[]> =>
  get("api/v1/nodes", readNodes, signal);
