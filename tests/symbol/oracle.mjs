// oracle.mjs: asks podflame's symbolizer and eu-addr2line for the functions at random addresses of
// ELF files and compares them one by one. What differs is sorted into classes, each of which is
// allowed only if podflame says less or the same thing in other words; anything else is a wrong
// name, is printed, and fails.
//   node oracle.mjs [--count=1000] [--max=FILES] [--verbose] [DIRECTORY or FILE...]
//   SYMBOLIZE   tests/e2e/symbolize of the build
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";

const options = { count: 1000, max: Infinity, verbose: false };
const places = [];
for (const argument of process.argv.slice(2)) {
  const [, key, value] = /^--(count|max|verbose)(?:=(\d+))?$/.exec(argument) ?? [];
  if (key) options[key] = value === undefined ? true : Number(value);
  else places.push(argument);
}
const symbolize = process.env.SYMBOLIZE ?? "tests/e2e/symbolize";

function isElf(path) {
  const head = Buffer.alloc(18);
  const fd = openSync(path, "r");
  const n = readSync(fd, head, 0, 18, 0);
  closeSync(fd);
  const type = head.readUInt16LE(16);
  return n === 18 && head.toString("latin1", 0, 4) === "\x7fELF" && (type === 2 || type === 3);
}

// A directory's own files: /usr/bin has a link to itself in it.
function* filesIn(place) {
  if (statSync(place).isFile()) yield place;
  else
    for (const entry of readdirSync(place, { withFileTypes: true }))
      if (entry.isFile()) yield join(place, entry.name);
}

function* elfFiles() {
  const seen = new Set();
  for (const place of places)
    for (const file of filesIn(place)) {
      const path = realpathSync(file);
      if (seen.has(path) || !isElf(path)) continue;
      seen.add(path);
      yield path;
    }
}

// A generator of its own, so that a file's addresses are the same in each run.
function random(seed) {
  let x = seed || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function run(command, args, input) {
  const out = spawnSync(command, args, { input, encoding: "latin1", maxBuffer: 1 << 28 });
  if (out.error) throw out.error;
  return out.stdout;
}

// Random bytes of the file's code sections: [file offset, address].
function pick(file, count) {
  const sections = [];
  for (const line of run("readelf", ["-SW", file]).split("\n")) {
    const m = /^ *\[ *\d+\] +(\S+) +PROGBITS +(\w+) (\w+) (\w+) \w+ +\w*X/.exec(line);
    if (m) sections.push(m.slice(2, 5).map((n) => parseInt(n, 16)));
  }
  const bytes = sections.reduce((sum, s) => sum + s[2], 0);
  const next = random(bytes);
  const picked = new Map();
  for (let i = 0; i < count && bytes > 0; i++) {
    let at = next(bytes);
    for (const [address, offset, size] of sections) {
      if (at < size) {
        picked.set(address + at, offset + at);
        break;
      }
      at -= size;
    }
  }
  return [...picked].sort((a, b) => a[0] - b[0]);
}

// {start, frames: [{name, at}]} of each address, the innermost first.
function ours(file, picked) {
  const offsets = picked.map(([, offset]) => offset.toString(16)).join("\n") + "\n";
  const lines = run(symbolize, ["--dwarf", file], offsets).split("\n");
  return picked.map((_, i) => {
    const [head, ...frames] = lines[i].split(" | ");
    return {
      start: head.split(" ")[1],
      frames: frames.map((frame) => {
        const [, name, at] = /^(.*) (\S+:\d+)$/.exec(frame);
        return { name, at: tidy(at) };
      }),
    };
  });
}

// elfutils gives column and discriminator too, and puts the directory of a relative path, which
// may itself be relative, in front another way: the file's own name and the line are compared.
function tidy(at) {
  const [, file, line] = /^(?:.*\/)?(.*?):(\d+)/.exec(at) ?? ["", "??", "0"];
  return `${file}:${line}`;
}

function theirs(file, picked) {
  const input = picked.map(([address]) => "0x" + address.toString(16)).join("\n") + "\n";
  const lines = run("eu-addr2line", ["-a", "-f", "-i", "-C", "-e", file], input).split("\n");
  const answers = [];
  for (let i = 0; i < lines.length; i++) {
    if (/^0x[0-9a-f]{16}$/.test(lines[i])) answers.push([]);
    else if (answers.length && lines[i + 1] !== undefined) {
      const name = lines[i].replace(/ inlined at .* in .*$/, "");
      answers.at(-1).push({ name, at: tidy(lines[++i]) });
    }
  }
  return answers;
}

function debugFileOf(file) {
  const id = /Build ID: (..)(\w+)/.exec(run("readelf", ["-nW", file]));
  return id ? `/usr/lib/debug/.build-id/${id[1]}/${id[2]}.debug` : "";
}

// All names at each address that the file's symbol tables have: "start" -> Set.
function symbolsOf(file) {
  const symbols = new Map();
  const tables = [
    ["-aC", "--synthetic", file],
    ["-DC", file],
    ["-DC", "--synthetic", file],
    ["-C", debugFileOf(file)],
  ];
  for (const line of tables.flatMap((args) => run("nm", args).split("\n"))) {
    const m = /^0*([0-9a-f]+) [a-zA-Z] (.*?)(@@?(?!plt$)[\w.]+)?$/.exec(line);
    if (!m) continue;
    if (!symbols.has(m[1])) symbols.set(m[1], new Set());
    symbols.get(m[1]).add(m[2]);
  }
  return symbols;
}

// A C++ template's name has its return type in front there, and none here. Where DWARF has no
// linker's name elfutils gives the bare one; ours says where it belongs.
const sameName = (a, b) => a === b || b.endsWith(" " + a) || a.endsWith("::" + b);

// Why an answer is right though it is not elfutils'; null: it is not.
function classify(mine, their, symbols) {
  const frames = mine.frames;
  if (frames.length === 0) return their[0]?.name === "??" ? "both nothing" : "less: no name";
  const named = their.filter((f) => f.name !== "??");
  const names = frames.map((f) => f.name);
  const outer = names.at(-1);
  const isSymbol = [...(symbols.get(mine.start) ?? [])].some((name) => sameName(outer, name));
  if (named.length === 0 && outer.startsWith(".plt")) return "more: what calls the dynamic linker";
  if (named.length === 0 && isSymbol)
    return outer.endsWith("@plt") ? "more: a stub" : "more: a symbol that elfutils passes over";
  /* nm calls a stub that the answer of an IFUNC fills *ABS*+0x1234@plt. */
  const synthetic = [...(symbols.get(mine.start) ?? [])].some((name) => /^\*ABS\*.*@plt$/.test(name));
  if (named.length === 0 && synthetic && outer.endsWith("@plt")) return "more: an IFUNC's stub";
  if (named.length === 0) return null;
  const sameNames =
    frames.length === their.length && names.every((name, i) => sameName(name, their[i].name));
  if (sameNames && frames.every((f, i) => f.at === their[i].at)) return "same";
  if (sameNames && frames.every((f, i) => f.at === their[i].at || f.at === "??:0"))
    return "less: no line";
  if (sameNames && their.every((f, i) => f.at === frames[i].at || f.at === "??:0"))
    return "more: a line";
  const inlinedSame =
    frames.length === their.length &&
    names.slice(0, -1).every((name, i) => sameName(name, their[i].name));
  if (inlinedSame && isSymbol) {
    const aliases = [...symbols.get(mine.start)];
    if (aliases.some((name) => sameName(their.at(-1).name, name))) return "alias of one address";
    if (aliases.some((name) => name.startsWith(their.at(-1).name + ".")))
      return "a part of a function, by the symbol's name";
    return "the symbol's name in full, where elfutils has another or DWARF's";
  }
  /* clang writes no .debug_aranges, without which elfutils 0.188 reads no DWARF. */
  if (their.length === 1 && their[0].at === "??:0" && sameName(outer, their[0].name))
    return "more: inlined functions, where elfutils reads no DWARF";
  if (frames.length < their.length && isSymbol && frames.length === 1) return "less: no inlined";
  return null;
}

function compareFile(file, totals, examples) {
  const picked = pick(file, options.count);
  if (picked.length === 0) return 0;
  const mine = ours(file, picked);
  const their = theirs(file, picked);
  const symbols = symbolsOf(file);
  picked.forEach(([address], i) => {
    const kind = classify(mine[i], their[i] ?? [], symbols) ?? "WRONG";
    totals.set(kind, (totals.get(kind) ?? 0) + 1);
    const list = examples.get(kind) ?? [];
    if (list.length < 20)
      list.push({ file, address: address.toString(16), mine: mine[i], their: their[i] });
    examples.set(kind, list);
  });
  return picked.length;
}

const totals = new Map();
const examples = new Map();
let files = 0;
let addresses = 0;
for (const file of elfFiles()) {
  if (files >= options.max) break;
  const compared = compareFile(file, totals, examples);
  files += compared > 0;
  addresses += compared;
}
console.log(`${files} files, ${addresses} addresses`);
for (const [kind, count] of [...totals].sort((a, b) => b[1] - a[1]))
  console.log(String(count).padStart(9), kind);
for (const kind of [...examples.keys()].filter((k) =>
  k === "WRONG" || (options.verbose && k !== "same" && k !== "both nothing")))
  for (const example of examples.get(kind)) console.log(kind, JSON.stringify(example));
process.exit(totals.get("WRONG") || addresses === 0 ? 1 : 0);
