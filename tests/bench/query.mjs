// query.mjs: how long a flamegraph of a day takes: podflame-server from its store on disk, beside Go's
// pprof, which holds the same stacks in memory. Prints both and the ratio. Arguments: nodes of the
// tree, batches of the day.
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { createGzip } from "node:zlib";
import { Server, folder, makeBatch, sleep } from "../e2e/server.mjs";

// pprof takes 5 KB a node: a million of them do not fit every machine.
const nodes = Number(process.argv[2] ?? 200_000);
const batches = Number(process.argv[3] ?? 96);
const functions = Math.min(30_000, nodes);
const deepest = 60;

// ---- the tree: most nodes go on where one of the last few ended, as calls do; some begin anew
// anywhere. A few functions are everywhere, most are rare.

let seed = 1;
function random() {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
}

const parent = new Int32Array(nodes);
const depth = new Uint8Array(nodes);
const name = new Int32Array(nodes);
const inner = new Uint8Array(nodes);
for (let i = 1; i < nodes; i++) {
  let p;
  do {
    p = Math.floor(random() < 0.7 ? i - 1 - random() * Math.min(i - 1, 3) : random() * i);
  } while (depth[p] >= deepest);
  parent[i] = p;
  depth[i] = depth[p] + 1;
  inner[p] = 1;
  name[i] = Math.floor(random() * random() * functions);
}
const leaves = [];
for (let i = 1; i < nodes; i++) if (!inner[i]) leaves.push(i);
const nameOf = (f) => `ns::Class${f % 3000}::method_${f}(int, std::string const&)`;

function lineOf(leaf, samples) {
  const frames = [];
  for (let i = leaf; i; i = parent[i]) frames.push(nameOf(name[i]));
  return `main;${frames.reverse().join(";")} ${samples}\n`;
}

// ---- what both are given

const now = Math.floor(Date.now() / 1000);
const counts = new Map();

async function fill(server) {
  const each = Math.ceil(leaves.length / batches);
  for (let b = 0; b < batches; b++) {
    let lines = "";
    const add = (leaf, samples) => {
      counts.set(leaf, (counts.get(leaf) ?? 0) + samples);
      lines += lineOf(leaf, samples);
    };
    for (let i = b * each; i < Math.min((b + 1) * each, leaves.length); i++) add(leaves[i], 1 + (i % 5));
    for (let i = 0; i < each / 2; i++) add(leaves[Math.floor(random() * random() * leaves.length)], 1);
    const end = now - 86_400 + Math.floor((86_000 / batches) * (b + 1));
    const batch = makeBatch(lines, "--seq", `${b + 1}`, "--end", `${end}`, "--window", "60s", "--slot-length", "60s");
    const answer = await server.request("POST", "/api/v1/batches", {
      body: batch,
      headers: { "content-type": "application/vnd.podflame.batch" },
    });
    if (answer.status !== 200) throw new Error(answer.text);
  }
}

// profile.proto of github.com/google/pprof: Profile{1 sample_type, 2 sample, 4 location, 5 function,
// 6 string_table}, the few fields that a stack of names needs.
function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
const number = (field, value) => [...varint(field * 8), ...varint(value)];
const bytes = (field, content) => [...varint(field * 8 + 2), ...varint(content.length), ...content];

async function writePprof(file) {
  const gzip = createGzip({ level: 1 });
  const done = once(gzip.pipe(createWriteStream(file)), "finish");
  const strings = ["", "samples", "count", "main", ...[...Array(functions).keys()].map(nameOf)];
  gzip.write(Buffer.from(bytes(1, [...number(1, 1), ...number(2, 2)])));
  for (let id = 1; id < strings.length - 2; id++) {
    gzip.write(Buffer.from(bytes(4, [...number(1, id), ...bytes(4, number(1, id))])));
    gzip.write(Buffer.from(bytes(5, [...number(1, id), ...number(2, id + 2)])));
  }
  for (const text of strings) gzip.write(Buffer.from(bytes(6, [...Buffer.from(text)])));
  for (const [leaf, samples] of counts) {
    const ids = [];
    for (let i = leaf; i; i = parent[i]) ids.push(...varint(name[i] + 2));
    ids.push(1);
    gzip.write(Buffer.from(bytes(2, [...bytes(1, ids), ...bytes(2, varint(samples))])));
  }
  gzip.end();
  await done;
}

// ---- measuring

const cpuSeconds = (pid) => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(stat[11]) + Number(stat[12])) / 100;
};
const peakMiB = (pid) =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024);

/** The median of three, in seconds: until the whole answer is there, and the server's own CPU. */
async function measure(url, pid) {
  const taken = [];
  for (let i = 0; i < 3; i++) {
    const cpu = cpuSeconds(pid);
    const start = performance.now();
    const answer = await fetch(url);
    const body = await answer.arrayBuffer();
    if (!answer.ok) throw new Error(Buffer.from(body).toString());
    taken.push({ wall: (performance.now() - start) / 1000, cpu: cpuSeconds(pid) - cpu, size: body.byteLength });
  }
  return taken.sort((a, b) => a.wall - b.wall)[1];
}

async function startPprof(file) {
  const port = 7450;
  const start = performance.now();
  const child = spawn("go", ["tool", "-n", "pprof"]);
  let tool = "";
  child.stdout.on("data", (text) => (tool += text));
  await once(child, "close");
  const pprof = spawn(tool.trim(), [`-http=127.0.0.1:${port}`, "-no_browser", file], { stdio: "ignore" });
  process.on("exit", () => pprof.kill("SIGKILL"));
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/nothing`);
      break;
    } catch {
      if (pprof.exitCode !== null) throw new Error("pprof did not start");
      await sleep(50);
    }
  }
  return { pprof, url: `http://127.0.0.1:${port}/ui/flamegraph`, load: (performance.now() - start) / 1000 };
}

const row = (what, { wall, cpu, size }, rss) =>
  console.log(
    `${what.padEnd(34)} ${wall.toFixed(2).padStart(7)} s wall ${cpu.toFixed(2).padStart(7)} s CPU ` +
      `${(size / 2 ** 20).toFixed(1).padStart(6)} MiB sent ${String(rss).padStart(5)} MiB peak`,
  );

const dir = mkdtempSync(path.join(tmpdir(), "podflame-query-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
const server = await Server.start("--data-dir", folder("day"), "--ui-dir", dir);
await fill(server);
const ours = await measure(`http://${server.address}/api/v1/flame?start=-25h&max_nodes=4000000`, server.child.pid);
const flame = await (await fetch(`http://${server.address}/api/v1/flame?start=-25h&max_nodes=4000000`)).json();
console.log(
  `${counts.size} stacks, ${flame.nodes.depth.length} nodes, ${flame.samples} samples in ${batches} batches over a day`,
);
row("podflame-server, from its store", ours, peakMiB(server.child.pid));
await server.stop();

if (spawnSync("go", ["version"]).status !== 0) {
  console.log("# SKIP go is not installed, so there is no pprof to compare with");
  process.exit(0);
}
await writePprof(path.join(dir, "day.pb.gz"));
const { pprof, url, load } = await startPprof(path.join(dir, "day.pb.gz"));
const theirs = await measure(url, pprof.pid);
row("pprof, from memory", theirs, peakMiB(pprof.pid));
console.log(`${"pprof, to read its file before".padEnd(34)} ${load.toFixed(2).padStart(7)} s wall`);
console.log(
  `ratio (pprof / podflame)           ${(theirs.wall / ours.wall).toFixed(2).padStart(7)} wall   ${(theirs.cpu / ours.cpu).toFixed(2).padStart(7)} CPU`,
);
process.exit(0);
