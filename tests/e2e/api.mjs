// api.mjs: a real podflame-server, real batches, and every path of the API: what it answers is what
// was posted, as src/server/openapi.json describes it; what is bad harms nothing else.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  Server,
  Skip,
  batchType,
  folder,
  makeBatch,
  openapi,
  runTests,
  test,
  until,
} from "./server.mjs";

const nowS = Math.floor(Date.now() / 1000);
const ui = folder("ui");
mkdirSync(path.join(ui, "assets"), { recursive: true });
writeFileSync(path.join(ui, "index.html"), "<html>the page</html>");
writeFileSync(path.join(ui, "assets/page-ABCD2345.js"), "the script");
writeFileSync(folder("secret"), "the secret");
symlinkSync("../secret", path.join(ui, "linked"));

const server = await Server.start("--data-dir", folder("data"), "--ui-dir", ui, "--log-level", "debug");

// ---- what is posted comes back

const first = `burner;main;hot loop 70
burner;main;read_file;vfs_read_[k] 20
shop;serve;/usr/lib/libshop.so+0x1a2b 7
shop;serve;render%3B%_[j] 2
shop;[truncated];inner_[i] 1
`;

test("a batch is stored once and every later copy is acknowledged", async () => {
  const batch = makeBatch(first, "--node", "n1", "--seq", "1", "--end", `${nowS - 20}`);
  for (const stored of [true, false, false]) {
    const answer = await server.post(batch);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(JSON.parse(answer.text), { stored });
  }
  const status = await server.get("/api/v1/status");
  assert.equal(status.store.batches, 1);
  assert.equal(status.store.samples, 100);
  assert.equal(status.ingest.batches_stored, 1);
  assert.equal(status.ingest.batches_duplicate, 2);
});

test("folded lines come out as they went in", async () => {
  const text = await server.get("/api/v1/flame?format=folded");
  const want = first.replace("/usr/lib/libshop", "libshop");
  assert.deepEqual(text.split("\n").sort(), want.split("\n").sort());
});

/** The path of names to each node, and its samples. */
function paths(flame) {
  const { depth, name, self, total, kind } = flame.nodes;
  const at = [];
  return depth.map((d, i) => {
    at.length = d;
    at.push(flame.names[name[i]]);
    return [at.slice(1).join(";"), self[i], total[i], kind[i]];
  });
}

test("the tree holds the samples of what passes through each node", async () => {
  const flame = await server.get("/api/v1/flame?start=-5m&end=now&node=&process=&thread=&group=process&format=json");
  assert.equal(flame.samples, 100);
  assert.equal(flame.cpu_ms, 1000);
  assert.equal(flame.period_ns, 10_000_000);
  assert.equal(flame.end_ms - flame.start_ms, 300_000);
  assert.deepEqual(flame.group, ["process"]);
  assert.deepEqual(paths(flame), [
    ["", 0, 100, 0],
    ["burner", 0, 90, 0],
    ["burner;main", 0, 90, 1],
    ["burner;main;hot loop", 70, 70, 1],
    ["burner;main;read_file", 0, 20, 1],
    ["burner;main;read_file;vfs_read", 20, 20, 2],
    ["shop", 0, 10, 0],
    ["shop;[truncated]", 0, 1, 5],
    ["shop;[truncated];inner", 1, 1, 4],
    ["shop;serve", 0, 9, 1],
    ["shop;serve;libshop.so+0x1a2b", 7, 7, 1],
    ["shop;serve;render;%", 2, 2, 3],
  ]);
  assert.equal(flame.objects[flame.nodes.object[10]], "/usr/lib/libshop.so");
});

test("the smallest nodes are left out when fewer are asked for", async () => {
  const flame = await server.get("/api/v1/flame?max_nodes=4");
  assert.equal(flame.samples, 100);
  assert.equal(flame.folded_nodes, 8);
  assert.deepEqual(paths(flame).map(([at]) => at), ["", "burner", "burner;main", "burner;main;hot loop"]);
});

test("filters and groups choose", async () => {
  assert.equal(
    await server.store("shop;serve 5\n", "--node", "n2", "--seq", "1", "--end", `${nowS - 20}`,
      "--thread", "worker", "--label", "namespace=prod", "--label", "app.kubernetes.io/name=cart"),
    true,
  );
  const lines = async (query) =>
    (await server.get(`/api/v1/flame?format=folded&${query}`)).split("\n").filter(Boolean).sort();
  assert.deepEqual(await lines("node=n2"), ["shop;serve 5"]);
  assert.deepEqual(await lines("node=n2&group=node,thread,namespace"), ["n2;worker;prod;serve 5"]);
  assert.deepEqual(await lines("namespace=prod"), ["shop;serve 5"]);
  assert.deepEqual(await lines("app.kubernetes.io/name=cart&group="), ["serve 5"]);
  assert.deepEqual(await lines("namespace=test"), []);
  assert.deepEqual(await lines("process=burner&process=nobody&thread=burner"), [
    "burner;main;hot loop 70",
    "burner;main;read_file;vfs_read_[k] 20",
  ]);
  assert.deepEqual(await lines("group=namespace&process=shop&node=n1"), [
    "-;[truncated];inner_[i] 1",
    "-;serve;libshop.so+0x1a2b 7",
    "-;serve;render%3B%_[j] 2",
  ]);
});

test("a range has what lies in it", async () => {
  const hour = nowS - (nowS % 3600) - 7200;
  await server.store("old;then 3\n", "--node", "n1", "--seq", "2", "--end", `${hour + 20}`, "--window", "10s");
  const iso = (s) => encodeURIComponent(new Date(s * 1000).toISOString());
  const samples = async (range) => (await server.get(`/api/v1/flame?${range}`)).samples;
  assert.equal(await samples(`start=${hour}&end=${hour + 3600}`), 3);
  assert.equal(await samples(`start=${hour}000&end=${hour + 3600}000`), 3);
  assert.equal(await samples(`start=${iso(hour)}&end=${iso(hour + 3600)}`), 3);
  assert.equal(await samples(`start=${hour}&end=${hour + 10}`), 0);
  assert.equal(await samples(`start=${hour + 20}&end=${hour + 3600}`), 0);
  assert.equal(await samples("start=-4h"), 108);
  assert.equal(await samples("start=-5m"), 105);
});

test("processes have their samples, their share, and what the nodes had to give", async () => {
  const list = await server.get("/api/v1/processes?start=-5m");
  assert.deepEqual(
    list.processes.map((p) => [p.node, p.process, p.samples, p.cpu_ms, p.share]),
    [
      ["n1", "burner", 90, 900, 0.857143],
      ["n1", "shop", 10, 100, 0.095238],
      ["n2", "shop", 5, 50, 0.047619],
    ],
  );
  assert.equal(list.samples, 105);
  assert.equal(list.cpu_ms, 1050);
  const one = await server.get("/api/v1/processes?start=-5m&node=n2");
  assert.equal(one.capacity_ms, 2 * 10_000);
  assert.deepEqual(one.processes.map((p) => p.share), [1]);
  assert.deepEqual((await server.get("/api/v1/processes?process=nobody")).processes, []);
});

test("stacks are counted by end and method, of the nodes and the range asked for", async () => {
  const end = nowS - 3600;
  const post = (node, ...counters) =>
    server.store("x;y 1\n", "--node", node, "--seq", "77", "--end", `${end}`,
      ...counters.flatMap((counter) => ["--counter", counter]));
  await post("q1", "samples=9", "stacks_bottom=5", "stacks_no_rule=2", "stacks_pending=3", "frames_table=40");
  await post("q2", "stacks_bottom=1", "stacks_from_next_year=4", "frames_\"odd\"=1", "tables_built=8");
  const range = `start=${end - 60}&end=${end}`;
  const stacks = async (query) => {
    const { ends, methods, pending } = await server.get(`/api/v1/stacks?${query}`);
    return { ends, methods, pending };
  };
  const q1 = { ends: { bottom: 5, no_rule: 2 }, methods: { table: 40 }, pending: 3 };
  const both = {
    ends: { bottom: 6, no_rule: 2, from_next_year: 4 },
    methods: { table: 40, '"odd"': 1 },
    pending: 3,
  };
  assert.deepEqual(await stacks(range), both);
  assert.deepEqual(await stacks(`${range}&node=q1&node=q2`), both);
  assert.deepEqual(await stacks(`${range}&node=q1`), q1);
  assert.deepEqual(await stacks(`${range}&node=nobody`), { ends: {}, methods: {}, pending: 0 });
  assert.deepEqual(await stacks(`start=${end}&end=${end + 60}`), { ends: {}, methods: {}, pending: 0 });
  const answer = await server.get(`/api/v1/stacks?${range}`);
  assert.deepEqual([answer.start_ms, answer.end_ms], [(end - 60) * 1000, end * 1000]);
});

test("nodes are those that have sent batches", async () => {
  const { nodes } = await server.get("/api/v1/nodes");
  const n2 = nodes.find((n) => n.node === "n2");
  assert.deepEqual(nodes.map((n) => n.node).sort(), ["n1", "n2", "q1", "q2"]);
  assert.equal(nodes.find((n) => n.node === "n1").batches, 2);
  assert.deepEqual([n2.boot_id, n2.cpus, n2.arch], ["boot-1", 2, "x86_64"]);
  assert.equal(n2.last_ms, (nowS - 20) * 1000);
  assert.equal(n2.first_ms, (nowS - 30) * 1000);
});

test("every answer of health, readiness and metrics is as described", async () => {
  assert.equal(await server.get("/healthz"), "ok\n");
  assert.equal(await server.get("/readyz"), "ok\n");
  const metrics = await server.get("/metrics");
  const value = (name) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(metrics)?.[1]);
  assert.equal(value("podflame_server_batches_stored_total"), 5);
  assert.equal(value("podflame_server_batches_duplicate_total"), 2);
  assert.equal(value("podflame_server_samples_stored_total"), 110);
  assert.equal(value('podflame_server_answers_total{path="/api/v1/batches",status="2xx"}'.replace(/[{}]/g, "\\$&")), 7);
  assert.equal(value("podflame_server_store_samples"), 110);
});

test("what containers used is told by container, with what is not known", async () => {
  const [id, other] = ["a".repeat(64), "b".repeat(64)];
  const end = nowS - (nowS % 60) - 3570; // the window is in one minute
  for (const [seq, name] of [[31, id], [32, other]])
    assert.equal(
      await server.store("idle;wait 1\n", "--node", "n7", "--seq", `${seq}`, "--end", `${end}`, "--window", "30s", "--usage", name),
      true,
    );
  const range = `start=${end - 60}&end=${end + 60}`;
  const one = await server.get(`/api/v1/usage?${range}&container_id=${id}`);
  assert.deepEqual(one.series.map((s) => [s.node, s.cgroup, s.labels, s.network]), [
    ["n7", `/docker/${id}`, { container_id: id }, "0"],
  ]);
  const { time_ms, span_ms, figures, summed } = one.series[0];
  assert.deepEqual(time_ms, [(end - 30) * 1000, end * 1000 - 1]);
  assert.deepEqual(span_ms, [0, 30000]);
  assert.deepEqual(figures.cpu_user_ns, [null, 0]);
  assert.deepEqual(figures.net_tx_bytes, [null, 12]);
  assert.deepEqual(figures.threads, [18, 18]);
  assert.deepEqual(summed, ["virtual_bytes"]);
  assert.equal((await server.get(`/api/v1/usage?${range}&node=n7`)).series.length, 2);
  assert.deepEqual(
    (await server.get(`/api/v1/usage?${range}&cgroup=/docker/${other}`)).series.map((s) => s.cgroup),
    [`/docker/${other}`],
  );
  assert.deepEqual((await server.get(`/api/v1/usage?${range}&node=nobody`)).series, []);
  assert.deepEqual((await server.get(`/api/v1/usage?start=${end}&end=${end + 60}&node=n7`)).series, []);
  assert.match(await server.refusal("/api/v1/usage?pid=7"), /parameter pid: this path does not take it/);

  const list = await server.get(`/api/v1/usage/processes?${range}&container_id=${id}`);
  assert.equal(list.series.length, 1);
  assert.equal(list.series[0].time_ms, end * 1000 - 1);
  assert.equal(list.series[0].span_ms, 30000);
  assert.deepEqual(list.series[0].processes.map((p) => [p.pid, p.command, p.cpu_user_ns, p.rss_bytes, p.virtual_bytes]), [
    [102, "/bin/job run", 2, 8192, null],
    [101, "/bin/job run", 1, 4096, null],
  ]);
  // Of each minute the last list is kept.
  assert.deepEqual((await server.get(`/api/v1/usage/processes?start=${end - 30}&end=${end - 20}`)).series, []);
  assert.match(await server.refusal("/api/v1/usage/processes?cpu=1"), /parameter cpu: this path does not take it/);
});

test("the description's examples are what it describes", () => {
  assert.deepEqual(openapi.checkExamples(), []);
});

// ---- what is refused

test("a wrong parameter is named", async () => {
  for (const [query, because] of [
    ["start=yesterday", /^parameter start: 'yesterday' is no time; write now, -30s/],
    ["start=now&end=-5m", /not before end/],
    ["proces=x", /is process meant\?/],
    ["max_nodes=0", /^parameter max_nodes: '0'/],
    ["format=xml", /json and folded/],
    ["node=%ff", /UTF-8/],
    ["start=%22%0a%3Cscript%3E", /<script>/],
  ])
    assert.match(await server.refusal(`/api/v1/flame?${query}`), because);
  assert.match(await server.refusal("/api/v1/processes?group=process"), /does not take it/);
  assert.match(await server.refusal("/api/v1/stacks?process=x"), /parameter process: this path does not take it/);
  assert.match(await server.refusal("/api/v1/stacks?namespace=x"), /parameter namespace: this path does not take it/);
  assert.match(await server.refusal("/api/v1/nodes?start=-5m"), /takes no parameters/);
  assert.match(await server.refusal("/api/v1/status?x=1"), /takes no parameters/);
});

test("other methods are refused with those that are allowed", async () => {
  for (const [method, target, allow] of [
    ["DELETE", "/api/v1/flame", "GET, HEAD"],
    ["POST", "/api/v1/flame", "GET, HEAD"],
    ["GET", "/api/v1/batches", "POST"],
    ["OPTIONS", "/api/v1/batches", "POST"],
    ["PUT", "/", "GET, HEAD"],
    ["TRACE", "/healthz", "GET, HEAD"],
  ]) {
    const answer = await server.request(method, target);
    assert.equal(answer.status, 405, `${method} ${target}`);
    assert.equal(answer.headers.allow, allow);
    assert.deepEqual(openapi.check({ $ref: "#/components/schemas/Error" }, JSON.parse(answer.text)), []);
  }
});

test("what is not there is 404 in JSON", async () => {
  for (const target of ["/api/v2/flame", "/api/v1/", "/api/v1/flame/", "/nothing", "/%F0%9F%94%A5"]) {
    const answer = await server.request("GET", target);
    assert.equal(answer.status, 404, target);
    assert.match(JSON.parse(answer.text).error, /^nothing is served at \//);
  }
});

test("HEAD is GET without a body", async () => {
  for (const target of ["/", "/healthz", "/metrics", "/api/v1/flame", "/api/v1/nodes", "/nothing"]) {
    const get = await server.request("GET", target);
    const head = await server.request("HEAD", target);
    assert.equal(head.status, get.status);
    assert.equal(head.headers["content-type"], get.headers["content-type"]);
    assert.equal(head.bytes.length, 0);
  }
});

/** The store's sums, for a test that nothing changes them. */
const sums = async () => {
  const { store } = await server.get("/api/v1/status");
  return [store.batches, store.samples];
};

test("a bad batch is refused with a reason and harms nothing", async () => {
  const before = await sums();
  const good = makeBatch(first, "--node", "bad", "--seq", "1");
  const flipped = Buffer.from(good);
  flipped[good.length >> 1] ^= 0x55;
  const future = makeBatch("a;b 1\n", "--node", "bad", "--seq", "2", "--end", `${nowS + 3 * 86400}`);
  const version = Buffer.from(good);
  version[4] = 9;
  for (const [what, bytes] of Object.entries({
    empty: Buffer.alloc(0),
    text: Buffer.from("hello"),
    "half of it": good.subarray(0, good.length / 2),
    "one byte less": good.subarray(0, -1),
    "one byte more": Buffer.concat([good, Buffer.from("x")]),
    flipped,
    version,
    future,
  })) {
    const answer = await server.post(bytes);
    assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    assert.ok(JSON.parse(answer.text).error.length > 10, answer.text);
  }
  assert.deepEqual(await sums(), before);
});

test("a post that is not declared to be a batch is refused", async () => {
  const batch = makeBatch(first, "--node", "bad", "--seq", "9");
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", `${batchType}x`]) {
    const answer = await server.post(batch, { "content-type": type });
    assert.equal(answer.status, 415, type);
  }
  const none = await server.api("POST", "/api/v1/batches", { body: batch });
  assert.equal(none.status, 415);
});

test("a body over the limit is refused while and before it arrives", async () => {
  const small = await Server.start("--data-dir", folder("small"), "--ui-dir", ui, "--max-body", "64KiB");
  const big = Buffer.alloc(1 << 20, 1);
  const known = await small.post(big);
  assert.equal(known.status, 413);
  assert.match(JSON.parse(known.text).error, /1048576 bytes, 65536 are allowed/);
  const chunked = await small.post(big, { "transfer-encoding": "chunked" });
  assert.equal(chunked.status, 413);
  const told = await small.raw(
    `POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${batchType}\r\n` +
      "Content-Length: 1000000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
  );
  assert.match(told, /^HTTP\/1.1 413 /);
  const endless = await small.raw(
    `POST /api/v1/batches HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${batchType}\r\n` +
      "Content-Length: 99999999999999\r\n\r\n",
  );
  assert.match(endless, /^HTTP\/1.1 413 /);
  assert.equal(await small.store(first, "--seq", "1"), true);
  assert.equal((await small.stop()).code, 0);
});

test("a foreign host's page may not ask a server on loopback", async () => {
  for (const [host, status] of [
    ["evil.example", 421],
    ["localhost.evil.example:7357", 421],
    ["localhost:7357", 200],
    ["127.0.0.1", 200],
    ["[::1]:7357", 200],
  ]) {
    const answer = await server.api("GET", "/api/v1/nodes", { headers: { host } });
    assert.equal(answer.status, status, host);
  }
});

test("what is no HTTP, or too much of it, is refused and the server goes on", async () => {
  const line = (head) => server.raw(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  assert.match(await line("GET /healthz HTTP/1.1"), /^HTTP\/1.1 200 /);
  assert.match(await line("GET /a%00b HTTP/1.1"), /^HTTP\/1.1 400 /);
  assert.match(await line("GET /%zz HTTP/1.1"), /^HTTP\/1.1 400 /);
  assert.match(await line("GET /%ff HTTP/1.1"), /^HTTP\/1.1 400 /);
  assert.match(await line("GET http://elsewhere/ HTTP/1.1"), /^HTTP\/1.1 400 /);
  assert.match(await line(`GET /api/v1/flame?node=${"x".repeat(2000)} HTTP/1.1`), /1024 bytes/);
  assert.match(await line(`GET /${"x".repeat(100_000)} HTTP/1.1`), /^(HTTP\/1.1 4\d\d |$)/);
  assert.match(await server.raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100_000)}\r\n\r\n`), /^(HTTP\/1.1 4\d\d |$)/);
  assert.match(await server.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), /^HTTP\/1.1 400 /);
  assert.equal(await server.get("/healthz"), "ok\n");
});

// ---- the page

test("the page's files are served, and nothing beside them", async () => {
  const page = await server.request("GET", "/");
  assert.equal(page.text, "<html>the page</html>");
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.match(page.headers["content-security-policy"], /^default-src 'self'/);
  assert.equal(page.headers["x-content-type-options"], "nosniff");
  const again = await server.request("GET", "/", { headers: { "if-none-match": page.headers.etag } });
  assert.equal(again.status, 304);
  const script = await server.request("GET", "/assets/page-ABCD2345.js");
  assert.equal(script.text, "the script");
  assert.match(script.headers["cache-control"], /immutable/);
  for (const target of [
    "/../secret",
    "/assets/../../secret",
    "/..%2fsecret",
    "/%2e%2e/secret",
    "/%2e%2e%2f%2e%2e%2fetc/passwd",
    "//etc/passwd",
    "/linked",
    "/assets",
    "/\\..\\secret",
  ]) {
    const answer = await server.raw(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1.1 404 /, target);
    assert.doesNotMatch(answer, /the secret|root:/);
  }
});

// ---- many at once

test("posts and queries at once: every batch is there once, every answer is whole", async () => {
  const batches = [...Array(40).keys()].map((i) =>
    makeBatch(`crowd;main;f${i % 7} ${i + 1}\ncrowd;main;g 1\n`, "--node", "crowd", "--seq", `${i + 1}`, "--end", `${nowS - 40}`),
  );
  let querying = true;
  const queries = Promise.all(
    [...Array(4)].map(async () => {
      for (let n = 0; querying; n++) {
        const flame = await server.get("/api/v1/flame?node=crowd&start=-5m");
        assert.equal(flame.nodes.total[0], flame.samples);
        assert.equal(flame.nodes.self.reduce((sum, self) => sum + self, 0), flame.samples);
        await server.get("/api/v1/processes");
      }
    }),
  );
  const answers = await Promise.all([...batches, ...batches].map((batch) => server.post(batch)));
  querying = false;
  await queries;
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(answers.filter((answer) => JSON.parse(answer.text).stored).length, 40);
  const flame = await server.get("/api/v1/flame?node=crowd&start=-5m");
  assert.equal(flame.samples, (40 * 41) / 2 + 40);
});

test("a large answer arrives whole", async () => {
  const lines = [];
  for (let i = 0; i < 60_000; i++) lines.push(`big;main;f${i % 100};g${i % 7};h${i} ${1 + (i % 3)}`);
  await server.store(`${lines.join("\n")}\n`, "--node", "big", "--seq", "1", "--end", `${nowS - 20}`);
  const flame = await server.get("/api/v1/flame?node=big");
  const { nodes } = flame;
  assert.equal(flame.samples, 120_000);
  assert.equal(nodes.depth.length, 3 + 100 + 700 + 60_000);
  for (const column of Object.values(nodes)) assert.equal(column.length, nodes.depth.length);
  const text = await server.get("/api/v1/flame?node=big&format=folded");
  assert.deepEqual(text.trimEnd().split("\n").sort(), lines.sort());
});

test("one reader that does not read holds nobody else", async () => {
  const { connect } = await import("node:net");
  const slow = connect(server.port, "127.0.0.1");
  slow.pause();
  slow.write("GET /api/v1/flame?node=big HTTP/1.1\r\nHost: localhost\r\n\r\n");
  for (let i = 0; i < 20; i++) assert.equal(await server.get("/healthz"), "ok\n");
  assert.equal((await server.get("/api/v1/flame?node=big")).samples, 120_000);
  slow.destroy();
});

test("a full disk refuses batches until there is room, and loses none", async () => {
  const disk = folder("disk");
  mkdirSync(disk);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "podflame-test", disk]).status !== 0)
    throw new Skip("mounting a small disk takes root");
  try {
    const one = await Server.start("--data-dir", path.join(disk, "data"), "--ui-dir", ui);
    assert.equal(await one.store(first, "--node", "full", "--seq", "1", "--end", `${nowS - 20}`), true);
    assert.equal(await one.get("/readyz"), "ok\n");
    const ballast = path.join(disk, "ballast");
    spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=4096"]);
    const batches = [...Array(30).keys()].map((i) =>
      makeBatch(`full;main;f${i};${"x".repeat(9000)}${i} 1\n`, "--node", "full", "--seq", `${i + 2}`, "--end", `${nowS - 20}`),
    );
    const refused = [];
    let stored = 1;
    for (const batch of batches) {
      const answer = await one.post(batch);
      if (answer.status === 200) stored++;
      else refused.push([answer, batch]);
    }
    assert.ok(refused.length > 0, "everything fitted on a full disk");
    for (const [answer] of refused) {
      assert.equal(answer.status, 503, answer.text);
      assert.match(answer.headers["retry-after"], /^\d+$/);
    }
    assert.match(await one.refusal("/readyz", 503), /No space left/);
    assert.equal(await one.get("/healthz"), "ok\n");
    rmSync(ballast);
    assert.equal(await one.get("/readyz"), "ok\n");
    for (const [, batch] of refused) assert.deepEqual(JSON.parse((await one.post(batch)).text), { stored: true });
    assert.equal((await one.get("/api/v1/flame?node=full&start=-5m")).samples, 130);
    assert.equal(stored + refused.length, 31);
    assert.equal((await one.stop()).code, 0);
  } finally {
    spawnSync("umount", ["-l", disk]);
  }
});

// ---- the process

test("a second server is told that the port, or the data, is in use", async () => {
  const port = Server.spawn("--listen", server.address, "--data-dir", folder("other"));
  assert.equal((await port.ended).code, 1);
  assert.match(port.log, /port is in use/);
  const data = Server.spawn("--listen", "127.0.0.1:0", "--data-dir", folder("data"));
  assert.equal((await data.ended).code, 1);
  assert.match(data.log, /in use|another/);
  assert.equal(await server.get("/readyz"), "ok\n");
});

test("settings that are wrong are named and end it", async () => {
  for (const [options, because] of [
    [["--listen", "nonsense"], /'nonsense' is no address/],
    [["--retention", "soon"], /retention.*soon/],
    [["--log-level", "loud"], /log-level is "loud"; it can be error, warning, info or debug/],
    [["--data-dir", "/proc/nowhere"], /\/proc\/nowhere/],
    [["--no-such-flag"], /no-such-flag/],
    [["word"], /'word' is not expected/],
  ]) {
    const wrong = Server.spawn("--listen", "127.0.0.1:0", "--data-dir", folder("wrong"), ...options);
    assert.notEqual((await wrong.ended).code, 0, options.join(" "));
    assert.match(wrong.log, because);
  }
});

test("SIGHUP reads the log level again", async () => {
  const config = folder("server.conf");
  writeFileSync(config, "[podflame-server]\nlog-level = info\n");
  const one = await Server.start("--data-dir", folder("hup"), "--ui-dir", ui, "--config", config);
  await one.get("/healthz");
  assert.doesNotMatch(one.log, /answered path/);
  writeFileSync(config, "[podflame-server]\nlog-level = debug\n");
  one.child.kill("SIGHUP");
  await until("the settings are read again", () => one.log.includes("settings read again"));
  await one.get("/healthz");
  await until("an access line", () => /answered path="\/healthz"/.test(one.log));
  writeFileSync(config, "[podflame-server]\nlog-level = loud\n");
  one.child.kill("SIGHUP");
  await until("the fault is told", () => /settings not read again.*loud/.test(one.log));
  assert.equal(await one.get("/healthz"), "ok\n");
  assert.equal((await one.stop()).code, 0);
});

test("SIGTERM under load: whatever was acknowledged is there after a restart", async () => {
  const data = folder("load");
  let one = await Server.start("--data-dir", data, "--ui-dir", ui);
  const acknowledged = new Set();
  const refused = new Set();
  let next = 1;
  const posters = [...Array(6)].map(async () => {
    for (;;) {
      const seq = next++;
      const batch = makeBatch(`load;main ${seq}\n`, "--node", "load", "--seq", `${seq}`, "--end", `${nowS - 20}`);
      try {
        const answer = await one.post(batch);
        if (answer.status !== 200) return refused.add(answer.status);
        acknowledged.add(seq);
      } catch (error) {
        if (error.code === "ERR_ASSERTION") throw error;
        return undefined; // the connection was closed or refused
      }
    }
  });
  await until("some are acknowledged", () => acknowledged.size >= 20);
  const end = await one.stop();
  await Promise.all(posters);
  assert.deepEqual(end, { code: 0, signal: null }, one.log);
  assert.match(one.log, /stopped\n$/);
  for (const status of refused) assert.equal(status, 503);
  one = await Server.start("--data-dir", data, "--ui-dir", ui);
  const { nodes } = await one.get("/api/v1/nodes");
  const { samples } = await one.get("/api/v1/flame?node=load");
  const sum = [...acknowledged].reduce((a, b) => a + b, 0);
  // A batch may be stored whose answer did not get through; then its number is missing in the sum.
  assert.ok(nodes[0].batches >= acknowledged.size && nodes[0].batches <= acknowledged.size + 6);
  assert.ok(samples >= sum, `${samples} samples, ${sum} acknowledged`);
  for (const seq of acknowledged) {
    const batch = makeBatch(`load;main ${seq}\n`, "--node", "load", "--seq", `${seq}`, "--end", `${nowS - 20}`);
    assert.deepEqual(JSON.parse((await one.post(batch)).text), { stored: false });
  }
  assert.equal((await one.stop("SIGINT")).code, 0);
});

test("SIGTERM ends the server, and what was posted to it stays", async () => {
  assert.equal((await server.stop()).code, 0, server.log);
  const again = await Server.start("--data-dir", folder("data"), "--ui-dir", ui);
  assert.equal((await again.get("/api/v1/flame?start=-5m&node=n1")).samples, 100);
  assert.equal((await again.stop()).code, 0);
  assert.doesNotMatch(server.log, /: error: |Sanitizer/);
});

await runTests();
