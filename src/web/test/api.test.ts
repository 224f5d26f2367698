// The client against the one description of the API: its own examples, and its parameters' names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  ApiError,
  flamePath,
  processesPath,
  readError,
  readFlame,
  readNodes,
  readProcesses,
  readStacks,
  stacksPath,
} from "../api";
import { Kind, labelOf, nameOf, placeOf } from "../flame/tree";
import { readUrl } from "../url";

interface Operation {
  readonly parameters?: readonly { readonly name?: string; readonly $ref?: string }[];
  readonly responses: {
    readonly "200": {
      readonly content: { readonly "application/json": { readonly example: unknown } };
    };
  };
}

interface Description {
  readonly paths: Readonly<Record<string, { readonly get: Operation }>>;
}

const file = `${process.env["top_srcdir"] ?? "../.."}/src/server/openapi.json`;
const api = JSON.parse(readFileSync(file, "utf8")) as Description;
const example = (path: string) =>
  api.paths[path].get.responses["200"].content["application/json"].example;

test("the flame example of the API's description becomes a tree", () => {
  const flame = readFlame(example("/api/v1/flame"));
  assert.ok(flame.tree.count > 1);
  assert.equal(nameOf(flame.tree, 0), "all");
  assert.equal(flame.tree.total[0], flame.samples);
  assert.ok(flame.endMs > flame.startMs && flame.periodNs > 0);
  const inlined = flame.tree.kind.indexOf(Kind.inlined);
  assert.equal(labelOf(flame.tree, inlined), "std::vector<…>::size");
  assert.equal(nameOf(flame.tree, inlined), "std::vector<int>::size() const");
  assert.equal(placeOf(flame.tree, inlined), "stl_vector.h");
});

test("so do the lists of processes and nodes", () => {
  const list = readProcesses(example("/api/v1/processes"));
  const sum = list.processes.reduce((samples, row) => samples + row.samples, 0);
  assert.equal(sum, list.samples);
  assert.ok(list.capacityMs > 0);
  assert.ok(readNodes(example("/api/v1/nodes"))[0].lastMs > 0);
});

test("and the stacks' counts", () => {
  const { ends, methods, pending } = readStacks(example("/api/v1/stacks"));
  assert.ok((ends.get("bottom") ?? 0) > (ends.get("truncated") ?? 0) && pending > 0);
  assert.ok((methods.get("table") ?? 0) > 0);
});

test("the client asks with parameters that the API has", () => {
  const { query } = readUrl("?start=-1h&process=a&node=n&namespace=shop&lines=true");
  assert.match(flamePath(query), /lines=true/);
  for (const path of [flamePath(query), processesPath(query), stacksPath(query)]) {
    const url = new URL(path, "http://localhost/");
    const known = (api.paths[url.pathname].get.parameters ?? []).map(
      (p) => p.name ?? p.$ref?.split("/").pop(),
    );
    for (const name of url.searchParams.keys()) {
      assert.ok(name === "namespace" || known.includes(name), `${name} in ${path}`);
    }
  }
});

test("the process list is not narrowed by the process that was chosen from it", () => {
  const { query } = readUrl("?process=a&node=n&namespace=shop");
  assert.doesNotMatch(processesPath(query), /process=|node=/);
  assert.match(processesPath(query), /namespace=shop/);
  assert.match(flamePath(query), /process=a&node=n&namespace=shop/);
});

test("the stacks' counts are narrowed by node alone", () => {
  const { query } = readUrl("?start=-1h&process=a&node=n&namespace=shop");
  assert.equal(stacksPath(query), "api/v1/stacks?start=-1h&end=now&node=n");
});

test("an answer of another shape is an error that says where", () => {
  const good = example("/api/v1/flame") as Record<string, unknown>;
  const bad: [unknown, RegExp][] = [
    [null, /the flame is no object/],
    [{ ...good, samples: "3" }, /samples is no number/],
    [{ ...good, names: [1] }, /names holds what is no text/],
    [{ ...good, short: [] }, /short is no object/],
    [{ ...good, nodes: { ...(good["nodes"] as object), file: [1, 1, 1, 1, 9] } }, /no file/],
    [{ ...good, nodes: { ...(good["nodes"] as object), line: [1] } }, /column line has 1 rows/],
    [{ ...good, nodes: { ...(good["nodes"] as object), total: [1] } }, /column total has 1 rows/],
    [
      { ...good, nodes: { ...(good["nodes"] as object), self: [null, 0, 0, 0] } },
      /nodes.self\[0\]/,
    ],
  ];
  for (const [answer, reason] of bad) {
    assert.throws(
      () => readFlame(answer),
      (error) => error instanceof ApiError && reason.test(error.message),
    );
  }
});

test("the server's reason is what a person is told", () => {
  assert.equal(readError(400, '{"error":"parameter start: no time"}'), "parameter start: no time");
  assert.equal(readError(502, "<html>"), "the server answered with status 502");
});
