// cluster.mjs: a real podflame-server beside an API server that answers as a real one did
// (tests/workloads/kube_api): what it says of namespaces and pods is what kubectl said, with the
// samples that belong to each; and without an API server what samples alone can say.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Server, folder, runTests, test, until } from "./server.mjs";

const { top_srcdir: source, top_builddir: build } = process.env;
const nowS = Math.floor(Date.now() / 1000);
const golden = path.join(source, "tests/golden/k8s");
const token = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln";

const made = spawnSync("openssl", [
  ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
  ...["-addext", "subjectAltName=DNS:localhost", "-keyout", folder("key.pem"), "-out", folder("ca.pem")],
]);
if (made.status !== 0) {
  console.log("1..0 # SKIP openssl(1) is not here or too old");
  process.exit(0);
}

/** The API server: its URL, and what to tell it. */
async function startApi() {
  const child = spawn(
    path.join(build, "tests/workloads/kube_api"),
    [path.join(golden, "api"), token, folder("ca.pem"), folder("key.pem")],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  process.on("exit", () => child.kill("SIGKILL"));
  child.stdout.setEncoding("utf8");
  let port = "";
  child.stdout.on("data", (text) => (port += text));
  await until("the API server listens", () => port.endsWith("\n"));
  return {
    url: `https://localhost:${port.trim()}`,
    tell: (line) => child.stdin.write(`${line}\n`),
  };
}

const api = await startApi();
writeFileSync(folder("token"), `${token}\n`);
const flags = ["--api-server", api.url, "--api-token", folder("token"), "--api-ca", folder("ca.pem")];
const server = await Server.start("--data-dir", folder("data"), ...flags);
const alone = await Server.start("--data-dir", folder("alone"));

/** What the API server's pods and kinds were followed to. */
const source_of = (answer, resource) => answer.sources.find((s) => s.resource === resource);
await until("all is followed", async () => {
  const { sources } = await server.get("/api/v1/status");
  const { pods } = await server.get("/api/v1/pods");
  return (
    sources.length === 11 &&
    sources.slice(1).every((s) => s.state === "ok" && s.complete) &&
    pods.some((p) => p.pod === "web-6f9968b487-thw2p" && p.phase === "Running") &&
    !pods.some((p) => p.pod === "web-6f9968b487-6fpt5")
  );
});

/** kubectl get pods -A -o wide, by its columns. */
const kubectl = readFileSync(path.join(golden, "kubectl-get-pods.txt"), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(/\s+/))
  .map(([namespace, pod, ready, status, restarts, , ip, node]) => ({ namespace, pod, ready, status, restarts, ip, node }));

test("namespaces have the pods that kubectl counts", async () => {
  const { namespaces } = await server.get("/api/v1/namespaces");
  const counts = Object.fromEntries(namespaces.map((n) => [n.namespace, n.pods]));
  const want = {};
  for (const name of ["data", "default", "kube-node-lease", "kube-public", "kube-system", "ops", "shop"])
    want[name] = kubectl.filter((p) => p.namespace === name).length;
  assert.deepEqual(counts, want);
  assert.equal(kubectl.length, 8);
});

test("namespaces have their services and workloads", async () => {
  const { namespaces } = await server.get("/api/v1/namespaces");
  const of = (name) => {
    const { services, workloads, kinds } = namespaces.find((n) => n.namespace === name);
    return [services, workloads, ...Object.entries(kinds).filter(([, count]) => count > 0).flat()];
  };
  assert.deepEqual(of("shop"), [1, 1, "Deployment", 1, "ReplicaSet", 1]);
  assert.deepEqual(of("data"), [1, 1, "StatefulSet", 1]);
  assert.deepEqual(of("ops"), [0, 3, "DaemonSet", 1, "CronJob", 1, "Job", 2]);
  assert.deepEqual(of("default"), [1, 0]);
  assert.deepEqual(of("kube-system"), [0, 0]);
});

test("pods are those that kubectl lists", async () => {
  const { pods } = await server.get("/api/v1/pods");
  const phases = { Completed: "Succeeded" };
  assert.deepEqual(
    pods.map((p) => [p.namespace, p.pod, p.phase, p.ip, p.node]),
    kubectl.map((p) => [p.namespace, p.pod, phases[p.status] ?? p.status, p.ip, p.node]),
  );
  assert.deepEqual(
    pods.map((p) => [p.workload, ...p.services]),
    [
      ["StatefulSet/db", "db"],
      [undefined],
      ["DaemonSet/agent"],
      [undefined],
      ["Job/once"],
      ["CronJob/report"],
      ["Deployment/web", "web"],
      ["Deployment/web", "web"],
    ],
  );
  assert.deepEqual((await server.get("/api/v1/pods?namespace=shop&namespace=data")).pods.map((p) => p.namespace),
    ["data", "shop", "shop"]);
  assert.deepEqual((await server.get("/api/v1/pods?node=node-2")).pods, []);
});

// ---- samples

const db = { uid: "d92b8acf-c7d4-4006-b6a4-2c6969b8ed64", id: "9d1746e31921fc4d133e0a7f26f29ca5720b78f55f00a763aef56a7400a0c247" };
const hash = "ac791484a78c8f4038eba8b0081dfcd4";
const gone = "125c6c0a-788e-44ef-bd09-7534652f01f8";

let seq = 0;
const store = (to, line, ...labels) =>
  to.store(line, "--node", "node-1", "--seq", `${++seq}`, "--end", `${nowS - 20}`,
    ...labels.flatMap((label) => ["--label", label]));

test("samples are stored, most of them without a pod's names", async () => {
  for (const to of [server, alone]) {
    await store(to, "postgres;main 30\n", `pod_uid=${db.uid}`, `container_id=${db.id}`);
    await store(to, "proxy;main 20\n", `pod_uid=${hash}`);
    await store(to, "httpd;main 10\n", `pod_uid=${gone}`);
    await store(to, "report;main 5\n", "pod_uid=07e4b82c-be88-45dd-a4c0-b3777685cdcf", "namespace=ops", "pod=report-1-j7m9k",
      "container=main", "workload=Job/report-1");
    await store(to, "early;main 3\n", "pod_uid=u-9", "container_id=c-9");
    await store(to, "late;main 4\n", "pod_uid=u-9", "container_id=c-9", "namespace=lab", "pod=probe", "container=p", "workload=Job/probe");
    await store(to, "sshd;main 7\n", "unit=ssh.service");
  }
});

test("samples without names count for the pods they are of", async () => {
  const { namespaces, outside } = await server.get("/api/v1/namespaces");
  const cpu = Object.fromEntries(namespaces.filter((n) => n.samples > 0).map((n) => [n.namespace, [n.samples, n.cpu_ms]]));
  assert.deepEqual(cpu, { data: [30, 300], "kube-system": [20, 200], lab: [7, 70], ops: [5, 50], shop: [10, 100] });
  assert.deepEqual(outside, { samples: 7, cpu_ms: 70 });
  assert.equal(namespaces.find((n) => n.namespace === "lab").pods, 0); // there is none now
  assert.deepEqual((await server.get("/api/v1/namespaces?node=node-2")).outside, { samples: 0, cpu_ms: 0 });
});

test("pods have their samples, and those that are gone are listed with theirs", async () => {
  const { pods } = await server.get("/api/v1/pods");
  const sampled = pods.filter((p) => p.samples > 0);
  assert.deepEqual(
    sampled.map((p) => [p.namespace, p.pod, p.workload, p.samples, p.known_by.join()]),
    [
      ["data", "db-0", "StatefulSet/db", 30, "api_server,samples"],
      ["kube-system", "proxy-node-1", undefined, 20, "api_server,samples"],
      ["lab", "probe", "Job/probe", 7, "samples"],
      ["ops", "report-1-j7m9k", "CronJob/report", 5, "api_server,samples"],
      ["shop", "web-6f9968b487-6fpt5", "Deployment/web", 10, "samples"],
    ],
  );
  assert.equal(pods.length, 10);
  const proxy = pods.find((p) => p.pod === "proxy-node-1");
  assert.deepEqual(proxy.uids, ["0e6c0df6-5788-4694-933d-7d8aa26f7258", hash]);
});

test("flamegraphs and processes are filtered and grouped by the names found", async () => {
  const folded = async (query) => (await server.get(`/api/v1/flame?format=folded&${query}`)).trim().split("\n");
  assert.deepEqual(await folded("group=namespace,pod,container,process"), [
    "-;-;-;sshd;main 7",
    "data;db-0;db;postgres;main 30",
    "kube-system;proxy-node-1;-;proxy;main 20",
    "lab;probe;p;early;main 3",
    "lab;probe;p;late;main 4",
    "ops;report-1-j7m9k;main;report;main 5",
    "shop;web-6f9968b487-6fpt5;-;httpd;main 10",
  ]);
  assert.deepEqual(await folded("namespace=data&group=workload"), ["StatefulSet/db;main 30"]);
  assert.deepEqual(await folded("workload=CronJob/report"), ["report;main 5"]);
  assert.deepEqual(await folded("workload=Job/report-1"), [""]);
  const { processes } = await server.get("/api/v1/processes?namespace=lab");
  assert.deepEqual(processes.map((p) => [p.process, p.samples]), [["late", 4], ["early", 3]]);
});

test("a pod is told with its labels and containers", async () => {
  const pod = await server.get("/api/v1/pods/data/db-0");
  assert.equal(pod.labels["statefulset.kubernetes.io/pod-name"], "db-0");
  assert.deepEqual(pod.containers, [
    {
      container: "db",
      id: db.id,
      kind: "app",
      state: "running",
      image: "localhost/busybox:1",
      restarts: 0,
      samples: 30,
      cpu_ms: 300,
    },
  ]);
  assert.deepEqual(pod.services, ["db"]);
  const bare = await server.get("/api/v1/pods/ops/bare");
  assert.deepEqual(bare.containers.map((c) => [c.container, c.kind, c.restarts]), [
    ["main", "app", 1],
  ]);
  const probe = await server.get("/api/v1/pods/lab/probe");
  assert.deepEqual(probe.containers, [{ container: "p", id: "c-9", samples: 7, cpu_ms: 70 }]);
  assert.equal(probe.labels, undefined);
  assert.match(await server.refusal("/api/v1/pods/shop/nobody", 404), /nothing is known of a pod shop\/nobody/);
  const other = await server.get("/api/v1/pods/data/db-0?start=-2d&end=-1d");
  assert.deepEqual([other.samples, other.known_by], [0, ["api_server"]]);
});

test("what is no pod's path is not there, and wrong parameters are named", async () => {
  for (const target of ["/api/v1/pods/", "/api/v1/pods/shop", "/api/v1/pods/shop/", "/api/v1/pods/shop/a/b", "/api/v1/pods//a"])
    assert.equal((await server.request("GET", target)).status, 404, target);
  assert.match(await server.refusal("/api/v1/pods?process=x"), /parameter process: this path does not take it/);
  assert.match(await server.refusal("/api/v1/namespaces?namespace=x"), /this path does not take it/);
  assert.match(await server.refusal("/api/v1/pods?namespaces=x"), /is namespace meant\?/);
  assert.match(await server.refusal("/api/v1/pods/shop/a?namespace=x"), /this path does not take it/);
  const long = "x".repeat(600);
  assert.match(await server.refusal(`/api/v1/pods/shop/${long}`), /too long/);
  const answer = await server.request("POST", "/api/v1/pods/shop/a");
  assert.deepEqual([answer.status, answer.headers.allow], [405, "GET, HEAD"]);
});

// ---- without an API server, and when it fails

test("without an API server samples alone are told, and that they are", async () => {
  const { sources, namespaces } = await alone.get("/api/v1/namespaces");
  assert.deepEqual(sources, [{ name: "samples" }]);
  assert.deepEqual(namespaces, [
    { namespace: "lab", pods: 1, kinds: {}, workloads: 1, samples: 7, cpu_ms: 70 },
    { namespace: "ops", pods: 1, kinds: {}, workloads: 1, samples: 5, cpu_ms: 50 },
  ]);
  const { pods } = await alone.get("/api/v1/pods");
  assert.deepEqual(
    pods.map((p) => [p.namespace, p.pod, p.workload, p.node, p.samples, ...p.uids]),
    [
      ["", "", undefined, "node-1", 10, gone],
      ["", "", undefined, "node-1", 20, hash],
      ["", "", undefined, "node-1", 30, db.uid],
      ["lab", "probe", "Job/probe", "node-1", 7, "u-9"],
      ["ops", "report-1-j7m9k", "Job/report-1", "node-1", 5, "07e4b82c-be88-45dd-a4c0-b3777685cdcf"],
    ],
  );
  assert.deepEqual((await alone.get("/api/v1/pods?namespace=lab")).pods.map((p) => p.pod), ["probe"]);
  assert.match(await alone.refusal("/api/v1/pods/data/db-0", 404), /nothing is known/);
});

test("what the account may not list is said, and the rest goes on", async () => {
  api.tell("forbid services");
  const limited = await Server.start("--data-dir", folder("limited"), ...flags);
  const answer = await until("services are refused, pods followed", async () => {
    const followed = /events_total\{resource="pods"\} 13$/m.test(await limited.get("/metrics"));
    const got = followed && (await limited.get("/api/v1/namespaces"));
    return got && source_of(got, "services").state === "failing" && got;
  });
  assert.match(source_of(answer, "services").error,
    /the account may not list and watch services: .*HTTP 403: services is forbidden: User "system:serviceaccount:ops:nobody"/);
  const shop = answer.namespaces.find((n) => n.namespace === "shop");
  assert.deepEqual([shop.pods, "services" in shop], [2, false]);
  assert.ok((await limited.get("/api/v1/pods")).pods.every((p) => !("services" in p)));
  const metrics = await limited.get("/metrics");
  assert.match(metrics, /^podflame_server_api_server_up\{resource="services"\} 0$/m);
  assert.match(metrics, /^podflame_server_api_server_objects\{resource="pods"\} 8$/m);
  api.tell("allow");
  assert.equal((await limited.stop()).code, 0);
  assert.equal(limited.log.match(/API server, services: /g).length, 1, limited.log);
});

test("a server that forgot is listed again, with the same pods", async () => {
  api.tell("forget");
  await until("pods are listed again", async () => /events_total\{resource="pods"\} 13$/m.test(await server.get("/metrics")) &&
    /lists_total\{resource="pods"\} [2-9]/m.test(await server.get("/metrics")));
  const { pods } = await server.get("/api/v1/pods?namespace=shop");
  assert.deepEqual(pods.filter((p) => p.known_by.includes("api_server")).map((p) => p.pod),
    ["web-6f9968b487-nf9wh", "web-6f9968b487-thw2p"]);
  const bare = await server.get("/api/v1/pods/ops/bare"); // made between the watch and this list
  assert.deepEqual(bare.containers.map((c) => [c.container, c.kind]), [["main", "app"], ["debugger", "ephemeral"]]);
});

test("the servers end within their time, and without a complaint", async () => {
  for (const one of [server, alone]) {
    assert.equal((await one.stop()).code, 0, one.log);
    assert.doesNotMatch(one.log, /: error: |Sanitizer/);
  }
});

await runTests();
