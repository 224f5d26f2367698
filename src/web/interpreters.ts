// interpreters.ts: takes a frame behind which functions run that nobody named, gives what it is and
// how to get their names. What an interpreter runs is not on the machine's stack; what a JIT made
// has the names it writes down only if asked to.
import { parentOf, noNode } from "./flame/hit";
import { Kind, nameOf, type FlameTree } from "./flame/tree";

interface Interpreter {
  /** Of the function that runs the program, whatever stands behind it ("_PyEval_…Default.cold"). */
  readonly names: RegExp;
  readonly hint: string;
}

const interpreters: readonly Interpreter[] = [
  {
    names: /^_?PyEval_EvalFrame(Default|Ex)?(\.|$)/,
    hint: "Python's interpreter. Which function it runs is told with -X perf or PYTHONPERFSUPPORT=1 in its environment, from Python 3.12 on.",
  },
  {
    names: /^Builtins_InterpreterEntryTrampoline$/,
    hint: "JavaScript that V8 interprets. Which function is told by node --perf-basic-prof --interpreted-frames-native-stack.",
  },
  {
    names: /^(vm_exec_core|rb_vm_exec|vm_exec)(\.|$)/,
    hint: "Ruby's interpreter. Methods that its JIT compiles are told by ruby --yjit --yjit-perf, from Ruby 3.3 on.",
  },
  {
    names: /^execute_ex(\.|$)/,
    hint: "PHP's interpreter. Functions that its JIT compiles are told with opcache.jit_debug=16.",
  },
  {
    names: /^Perl_runops_(standard|debug)(\.|$)/,
    hint: "Perl's interpreter. Perl tells nobody which function it runs.",
  },
  {
    names: /^Interpreter$/,
    hint: "Java methods that the JVM interprets. One that is called often gets compiled, and then is named.",
  },
  {
    names: /^luaV_execute(\.|$)/,
    hint: "Lua's interpreter. Lua tells nobody which function it runs.",
  },
];

interface Runtime {
  /** Objects that are mapped by what runs on it, by their base names. */
  readonly objects: RegExp;
  readonly hint: string;
}

/** Their code of their own making has no names unless they are asked for. */
const runtimes: readonly Runtime[] = [
  {
    objects: /^(node|nodejs|libnode\.so.*)$/,
    hint: "Code that V8 made. Its functions are told by node --perf-basic-prof.",
  },
  {
    objects: /^libcoreclr\.so$/,
    hint: "Code that .NET made. Its methods are told with DOTNET_PerfMapEnabled=1 in its environment.",
  },
  {
    objects: /^libjvm\.so$/,
    hint: "Code that the JVM made. podflamed asks the JVM for names; what was just made has none yet, and its log says if the JVM refused.",
  },
  {
    objects: /^(libpython3[\d.]*\.so.*|python3[\d.]*)$/,
    hint: "Code that a library for Python made, or Python's own trampolines: run it with -X perf.",
  },
  {
    objects: /^(ruby|libruby.*\.so.*)$/,
    hint: "Code that Ruby's JIT made. Its methods are told by ruby --yjit --yjit-perf, from Ruby 3.3 on.",
  },
  {
    objects: /^(php[\d.]*|php-fpm[\d.]*|php-cgi[\d.]*|libphp.*\.so|opcache\.so)$/,
    hint: "Code that PHP's JIT made. Its functions are told with opcache.jit_debug=16.",
  },
  {
    objects: /^beam(\.smp|\.jit)?$/,
    hint: "Code that Erlang's JIT made. Its functions are told by erl +JPperf true.",
  },
];

const baseOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Python tells of a function by a frame of its own, that calls the interpreter. */
function isToldByCaller(tree: FlameTree, node: number): boolean {
  const parent = parentOf(tree, node);
  return parent !== noNode && tree.kind[parent] === Kind.jit && !isUnnamed(tree, parent);
}

/** Unnamed frames are called after their object: "[anon]+0x7f12". */
function isUnnamed(tree: FlameTree, node: number): boolean {
  return /\+0x[0-9a-f]+$/.test(nameOf(tree, node));
}

function runtimeOf(tree: FlameTree, node: number): Runtime | undefined {
  for (let at = parentOf(tree, node); at !== noNode; at = parentOf(tree, at)) {
    const base = baseOf(tree.objects[tree.object[at]]);
    const runtime = runtimes.find(({ objects }) => objects.test(base));
    if (runtime) return runtime;
  }
  return undefined;
}

/** "" for all other frames. */
export function hintOf(tree: FlameTree, node: number): string {
  const kind = tree.kind[node];
  if (kind !== Kind.user && kind !== Kind.jit) return "";
  if (kind === Kind.jit && isUnnamed(tree, node)) return runtimeOf(tree, node)?.hint ?? "";
  const name = nameOf(tree, node);
  const interpreter = interpreters.find(({ names }) => names.test(name));
  return interpreter && !isToldByCaller(tree, node) ? interpreter.hint : "";
}
