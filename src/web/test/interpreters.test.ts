import assert from "node:assert/strict";
import { test } from "node:test";
import { buildTree, Kind, type FlameTree } from "../flame/tree";
import { hintOf } from "../interpreters";

interface Row {
  readonly name: string;
  readonly kind?: number;
  readonly object?: string;
}

/** Each calls the next; the last is asked about. */
function hint(...rows: readonly Row[]): string {
  const all = [{ name: "all", kind: Kind.metadata }, ...rows] as readonly Row[];
  const tree: FlameTree = buildTree({
    names: all.map(({ name }) => name),
    objects: all.map(({ object }) => object ?? ""),
    depth: all.map((_, i) => i),
    name: all.map((_, i) => i),
    object: all.map((_, i) => i),
    kind: all.map(({ kind }) => kind ?? Kind.user),
    self: all.map(() => 0),
    total: all.map(() => 1),
  });
  return hintOf(tree, all.length - 1);
}

test("an interpreter says how to get the names of what it runs", () => {
  const cases: [string, RegExp][] = [
    ["_PyEval_EvalFrameDefault", /-X perf.* 3\.12/],
    ["_PyEval_EvalFrameDefault.cold", /PYTHONPERFSUPPORT=1/],
    ["PyEval_EvalFrameEx", /Python/],
    ["Builtins_InterpreterEntryTrampoline", /--interpreted-frames-native-stack/],
    ["vm_exec_core", /--yjit-perf/],
    ["rb_vm_exec", /Ruby/],
    ["execute_ex", /opcache\.jit_debug/],
    ["Perl_runops_standard", /Perl/],
    ["luaV_execute", /Lua/],
  ];
  for (const [name, words] of cases) assert.match(hint({ name }), words, name);
  assert.match(hint({ name: "Interpreter", kind: Kind.jit }), /JVM interprets/);
});

test("other functions say nothing, nor what only looks like an interpreter", () => {
  for (const name of ["main", "PyEval_EvalFrameDefaultish", "my_vm_exec", "execute_example"])
    assert.equal(hint({ name }), "", name);
  assert.equal(hint({ name: "execute_ex", kind: Kind.kernel }), "");
  assert.equal(hint({ name: "Interpreter", kind: Kind.metadata }), "");
});

test("Python that tells its functions needs no hint", () => {
  const told = { name: "serve", kind: Kind.jit, object: "/app/shop.py" };
  assert.equal(hint(told, { name: "_PyEval_EvalFrameDefault" }), "");
  const untold = { name: "[anon]+0x7f01", kind: Kind.jit };
  assert.notEqual(hint(untold, { name: "_PyEval_EvalFrameDefault" }), "");
});

test("unnamed code says who made it, by what called it", () => {
  const unnamed = { name: "[anon]+0x7f00deadbeef", kind: Kind.jit, object: "[anon]" };
  const cases: [string, RegExp][] = [
    ["/usr/bin/node", /--perf-basic-prof/],
    ["/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so", /DOTNET_PerfMapEnabled=1/],
    ["/usr/lib/jvm/openjdk-17/lib/server/libjvm.so", /podflamed asks the JVM/],
    ["/usr/lib/x86_64-linux-gnu/libpython3.12.so.1.0", /-X perf/],
    ["/usr/lib/erlang/erts-13/bin/beam.smp", /\+JPperf true/],
    ["/usr/sbin/php-fpm8.2", /jit_debug/],
    ["/usr/local/bin/ruby", /--yjit-perf/],
  ];
  for (const [object, words] of cases)
    assert.match(hint({ name: "main", object }, unnamed, unnamed), words, object);
  assert.equal(hint({ name: "main", object: "/usr/bin/wasmtime" }, unnamed), "");
  assert.equal(hint({ name: "main", object: "/usr/bin/node" }, { ...unnamed, name: "f" }), "");
});
