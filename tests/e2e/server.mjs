// server.mjs: a real podflame-server of this build on a directory of its own, requests to it, and
// TAP. Every answer of the API is held against src/server/openapi.json.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { OpenApi } from "./openapi.mjs";

const { top_srcdir: source, top_builddir: build } = process.env;
export const openapi = new OpenApi(
  JSON.parse(readFileSync(path.join(source, "src/server/openapi.json"), "utf8")),
);
export const batchType = "application/vnd.podflame.batch";

const scratch = mkdtempSync(path.join(tmpdir(), "podflame-api-"));
const running = new Set();
const fallen = new Set(); // that have ended since the last test failed
process.on("exit", () => {
  for (const server of running) server.child.kill("SIGKILL");
  rmSync(scratch, { recursive: true, force: true });
});

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function until(what, test, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(20)) {
    const value = await test();
    if (value) return value;
  }
  throw new Error(`waited ${seconds} s: ${what}`);
}

/** A folder of this test's, gone at its end. */
export const folder = (name) => path.join(scratch, name);

// ---- batches

/** Folded lines to a batch's bytes. */
export function makeBatch(lines, ...options) {
  const made = spawnSync(path.join(build, "tests/workloads/make_batch"), options, { input: lines });
  if (made.status !== 0) throw new Error(`make_batch: ${made.stderr}`);
  return made.stdout;
}

// ---- the server

export class Server {
  constructor(child) {
    this.child = child;
    this.log = "";
    this.address = null;
    this.agent = new http.Agent({ keepAlive: true });
    this.ended = new Promise((done) => {
      child.on("close", (code, signal) => {
        running.delete(this);
        fallen.add(this);
        this.exit = { code, signal };
        done(this.exit);
      });
    });
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => {
      this.log += text;
      this.address ??= /listening address=(\S+)/.exec(this.log)?.[1] ?? null;
    });
  }

  static spawn(...options) {
    const child = spawn(path.join(build, "podflame-server"), options, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH, TSAN_OPTIONS: process.env.TSAN_OPTIONS ?? "" },
    });
    const server = new Server(child);
    running.add(server);
    return server;
  }

  static async start(...options) {
    const server = Server.spawn("--listen", "127.0.0.1:0", ...options);
    await until("the server listens", () => server.address ?? server.exit);
    if (!server.address) throw new Error(`the server ended:\n${server.log}`);
    return server;
  }

  get port() {
    return Number(this.address.split(":").at(-1));
  }

  /** Any request, unchecked. `body` may be a string or a Buffer. */
  request(method, target, { headers = {}, body, agent = this.agent } = {}) {
    return new Promise((done, failed) => {
      const [host, port] = this.address.split(":");
      const request = http.request({ host, port, method, path: target, headers, agent }, (got) => {
        const pieces = [];
        got.on("data", (piece) => pieces.push(piece));
        got.on("error", failed);
        got.on("end", () => {
          const bytes = Buffer.concat(pieces);
          done({ status: got.statusCode, headers: got.headers, bytes, text: bytes.toString() });
        });
      });
      request.on("error", failed);
      request.end(body);
    });
  }

  /** A request to a path of the API, whose answer must be as described. */
  async api(method, target, options) {
    const answer = await this.request(method, target, options);
    const [pathOnly] = target.split("?");
    assert.deepEqual(openapi.checkAnswer(method, pathOnly, answer), []);
    return answer;
  }

  async get(target) {
    const answer = await this.api("GET", target);
    assert.equal(answer.status, 200, answer.text);
    return answer.headers["content-type"] === "application/json"
      ? JSON.parse(answer.text)
      : answer.text;
  }

  /** The reason a GET is refused with. */
  async refusal(target, status = 400) {
    const answer = await this.api("GET", target);
    assert.equal(answer.status, status, answer.text);
    return JSON.parse(answer.text).error;
  }

  post(bytes, headers = {}) {
    return this.api("POST", "/api/v1/batches", {
      body: bytes,
      headers: { "content-type": batchType, ...headers },
    });
  }

  /** Stores the batch, or fails. */
  async store(lines, ...options) {
    const answer = await this.post(makeBatch(lines, ...options));
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text).stored;
  }

  /** Bytes to the port as they are; what comes back until the server closes. */
  raw(bytes) {
    return new Promise((done, failed) => {
      const socket = net.connect(this.port, "127.0.0.1", () => socket.write(bytes));
      let text = "";
      socket.on("data", (piece) => (text += piece));
      socket.on("error", failed);
      socket.on("close", () => done(text));
    });
  }

  async stop(signal = "SIGTERM") {
    this.agent.destroy();
    this.child.kill(signal);
    return this.ended;
  }
}

// ---- TAP

const tests = [];
export const test = (name, what) => tests.push([name, what]);
export class Skip extends Error {}

export async function runTests() {
  let failed = 0;
  console.log(`1..${tests.length}`);
  for (const [i, [name, what]] of tests.entries()) {
    try {
      await what();
      console.log(`ok ${i + 1} - ${name}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`ok ${i + 1} - ${name} # SKIP ${error.message}`);
        continue;
      }
      failed++;
      console.log(`not ok ${i + 1} - ${name}`);
      console.log(`${error.stack ?? error}`.replace(/^/gm, "# "));
      for (const { exit, log } of fallen)
        if (exit.code !== 0) console.log(log.slice(-8000).replace(/^/gm, "#   "));
      fallen.clear();
    }
  }
  process.exit(failed ? 1 : 0);
}
