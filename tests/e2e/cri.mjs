// cri.mjs: does what kubelet does to a container runtime, by the Container Runtime Interface.
//   node cri.mjs SOCKET start NAMESPACE POD UID CGROUP-PARENT LOGS CONTAINER IMAGE ARGV...
//       starts a pod of one container, and lays out its logs in LOGS/pods and LOGS/containers; prints
//       the ids of sandbox and container
//   node cri.mjs SOCKET churn COUNT SECONDS CGROUP-PARENT LOGS IMAGE
//       starts so many pods (churn/churn-NUMBER) within that time, at random, and removes each after
//       some tenths of a second, or some seconds; each sets its process's name to its own, and burns
//       CPU. Prints how many ran.
//   node cri.mjs SOCKET remove SANDBOX
//   node cri.mjs SOCKET remove-all
import { randomUUID } from "node:crypto";
import { mkdirSync, symlinkSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [socket, command, ...rest] = process.argv.slice(2);
const client = http2.connect("http://localhost", { createConnection: () => net.connect(socket) });

// ---- protobuf, as far as these messages need it

function varint(number) {
  const bytes = [];
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) | 128);
  return Buffer.from([...bytes, number]);
}

// A field: a number, a text, or a message (a Buffer).
function field(id, value) {
  if (typeof value === "number") return Buffer.concat([varint(id * 8), varint(value)]);
  const bytes = Buffer.from(value);
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);
}

const message = (...fields) => Buffer.concat(fields);
const map = (id, object) =>
  message(...Object.entries(object).map(([key, value]) => field(id, message(field(1, key), field(2, value)))));

// The first text or message with that id; all with `fields`.
function fields(bytes, id) {
  const found = [];
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = number();
    const value = number();
    if (key % 8 === 2) at += value;
    else if (key % 8 !== 0) throw new Error(`wire type ${key % 8}`);
    if (Math.floor(key / 8) === id && key % 8 === 2) found.push(bytes.subarray(at - value, at));
  }
  return found;
}
const text = (bytes, id) => fields(bytes, id)[0]?.toString() ?? "";

function call(method, body) {
  const frame = Buffer.concat([Buffer.alloc(5), body]);
  frame.writeUInt32BE(body.length, 1);
  return new Promise((resolve, reject) => {
    const request = client.request({
      ":method": "POST",
      ":path": `/runtime.v1.RuntimeService/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks = [];
    let status = {};
    request.on("response", (headers) => (status = headers));
    request.on("trailers", (headers) => (status = headers));
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("error", reject);
    request.on("end", () => {
      if (status["grpc-status"] === "0") resolve(Buffer.concat(chunks).subarray(5));
      else reject(new Error(`${method}: ${status["grpc-status"]} ${status["grpc-message"]}`));
    });
    request.end(frame);
  });
}

// ---- what kubelet does

async function start(namespace, pod, uid, parent, logs, name, image, ...argv) {
  const podDir = path.join(logs, "pods", `${namespace}_${pod}_${uid}`);
  mkdirSync(path.join(podDir, name), { recursive: true });
  mkdirSync(path.join(logs, "containers"), { recursive: true });
  const labels = {
    app: pod.split("-")[0],
    "io.kubernetes.pod.name": pod,
    "io.kubernetes.pod.namespace": namespace,
    "io.kubernetes.pod.uid": uid,
  };
  const hostNetwork = 2;
  const sandboxConfig = message(
    field(1, message(field(1, pod), field(2, uid), field(3, namespace))),
    field(3, podDir),
    map(6, labels),
    field(8, message(field(1, `${parent}/pod${uid}`), field(2, field(1, field(1, hostNetwork))))),
  );
  const sandbox = text(await call("RunPodSandbox", field(1, sandboxConfig)), 1);
  const { app, ...own } = labels; // a container has but the pod's names
  const containerConfig = message(
    field(1, field(1, name)),
    field(2, field(1, image)),
    ...argv.map((word) => field(3, word)),
    map(9, { ...own, "io.kubernetes.container.name": name }),
    field(11, `${name}/0.log`),
  );
  const container = text(
    await call("CreateContainer", message(field(1, sandbox), field(2, containerConfig), field(3, sandboxConfig))),
    1,
  );
  await call("StartContainer", field(1, container));
  symlinkSync(
    path.join(podDir, name, "0.log"),
    path.join(logs, "containers", `${pod}_${namespace}_${name}-${container}.log`),
  );
  return [sandbox, container];
}

async function startOne(...args) {
  console.log(...(await start(...args)));
}

async function churn(count, seconds, parent, logs, image) {
  const burn = "echo -n $0 >/proc/self/comm; while :; do :; done";
  const one = async (number) => {
    await sleep(Math.random() * seconds * 1000);
    const name = `churn-${number}`;
    const [sandbox] = await start("churn", name, randomUUID(), parent, logs, "main", image, "/bin/sh", "-c", burn, name);
    await sleep(100 + Math.random() ** 2 * 6000);
    await remove(sandbox);
    return name;
  };
  const names = await Promise.all(Array.from({ length: Number(count) }, (_, i) => one(i + 1)));
  console.log(names.length);
}

async function remove(sandbox) {
  await call("StopPodSandbox", field(1, sandbox));
  await call("RemovePodSandbox", field(1, sandbox));
}

async function removeAll() {
  const list = await call("ListPodSandbox", Buffer.alloc(0));
  for (const sandbox of fields(list, 1)) await remove(text(sandbox, 1));
}

const commands = { start: startOne, churn, remove, "remove-all": removeAll };
await commands[command](...rest);
client.close();
