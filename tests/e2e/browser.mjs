// browser.mjs: takes an address, gives a page of a headless Chromium to look at and to click in. It
// speaks the DevTools protocol over two pipes (--remote-debugging-pipe): nothing to install but the
// browser itself.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-extensions",
  "--hide-scrollbars",
  "--force-color-profile=srgb",
  "--remote-debugging-pipe",
];

/** CHROMIUM, or the first that is installed; "" if there is none. */
export function findChromium() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const paths = (process.env.PATH ?? "").split(":");
  const all = names.flatMap((name) => paths.map((path) => join(path, name)));
  return process.env.CHROMIUM ?? all.find((path) => existsSync(path)) ?? "";
}

/** Messages are JSON with a NUL behind each. */
class Pipe {
  #last = 0;
  #waiting = new Map();
  #listeners = new Set();

  constructor(child) {
    this.to = child.stdio[3];
    let rest = Buffer.alloc(0);
    child.stdio[4].on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end; (end = rest.indexOf(0)) >= 0; rest = rest.subarray(end + 1)) {
        this.#take(JSON.parse(rest.toString("utf8", 0, end)));
      }
    });
    child.on("exit", (code) => this.#fail(new Error(`chromium ended with ${code}`)));
    child.on("error", (error) => this.#fail(error));
    this.to.on("error", (error) => this.#fail(error));
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #take(message) {
    const asked = this.#waiting.get(message.id);
    if (!asked) {
      for (const listener of this.#listeners) listener(message);
      return;
    }
    this.#waiting.delete(message.id);
    if (message.error) asked.reject(new Error(`${asked.method}: ${message.error.message}`));
    else asked.resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, method });
      this.to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  listen(listener) {
    this.#listeners.add(listener);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One page. Places are CSS pixels of the window. */
class Page {
  /** What the page complained of: uncaught exceptions and errors on its console. */
  complaints = [];

  constructor(pipe, sessionId) {
    this.send = (method, params) => pipe.send(method, params, sessionId);
    pipe.listen((message) => {
      if (message.sessionId !== sessionId) return;
      const { method, params } = message;
      if (method === "Runtime.exceptionThrown") {
        const { text, exception } = params.exceptionDetails;
        this.complaints.push(`${text} ${exception?.description ?? ""}`);
      } else if (method === "Runtime.consoleAPICalled" && params.type === "error") {
        this.complaints.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
      }
    });
  }

  /** `look` is { width, height, scale, dark, still }. */
  async appear(look) {
    await this.send("Emulation.setDeviceMetricsOverride", {
      width: look.width,
      height: look.height,
      deviceScaleFactor: look.scale ?? 1,
      mobile: false,
    });
    await this.send("Emulation.setEmulatedMedia", {
      features: [
        { name: "prefers-color-scheme", value: look.dark ? "dark" : "light" },
        { name: "prefers-reduced-motion", value: look.still ? "reduce" : "no-preference" },
      ],
    });
  }

  async open(url) {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`opening ${url}: ${errorText}`);
    await this.until("the page is loaded", () => document.readyState === "complete");
  }

  /** Calls a function within the page; its arguments and what it returns are JSON. */
  async call(fn, ...args) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression: `(${fn})(...${JSON.stringify(args)})`,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  /** Waits until the function gives something true, and gives that. */
  async until(what, fn, ...args) {
    const end = Date.now() + 20_000;
    for (;;) {
      const value = await this.call(fn, ...args).catch((error) => {
        if (Date.now() > end) throw error;
      });
      if (value) return value;
      if (Date.now() > end) throw new Error(`waited 20 s until ${what}`);
      await pause(30);
    }
  }

  mouse(type, x, y, more = {}) {
    return this.send("Input.dispatchMouseEvent", { type, x, y, ...more });
  }

  async hover(x, y) {
    await this.mouse("mouseMoved", x, y);
  }

  async click(x, y) {
    await this.hover(x, y);
    await this.mouse("mousePressed", x, y, { button: "left", buttons: 1, clickCount: 1 });
    await this.mouse("mouseReleased", x, y, { button: "left", clickCount: 1 });
  }

  async wheel(x, y, deltaY) {
    await this.mouse("mouseWheel", x, y, { deltaX: 0, deltaY });
  }

  async drag(x, y, dx, dy) {
    await this.hover(x, y);
    await this.mouse("mousePressed", x, y, { button: "left", buttons: 1, clickCount: 1 });
    for (let i = 1; i <= 8; i++) {
      await this.mouse("mouseMoved", x + (dx * i) / 8, y + (dy * i) / 8, { buttons: 1 });
    }
    await this.mouse("mouseReleased", x + dx, y + dy, { button: "left", clickCount: 1 });
  }

  /** A key by its name in KeyboardEvent.key: "Enter", "ArrowUp", "a". */
  async press(key) {
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : "";
    const code = { Enter: 13, Escape: 27, Tab: 9 }[key] ?? 0;
    const event = { key, windowsVirtualKeyCode: code };
    await this.send("Input.dispatchKeyEvent", {
      type: text ? "keyDown" : "rawKeyDown",
      ...event,
      text,
    });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Replaces what stands in an input, as typing does. */
  async type(selector, text) {
    await this.call((s) => {
      const input = document.querySelector(s);
      input.focus();
      input.select();
    }, selector);
    await this.send("Input.insertText", { text });
  }

  /** The middle of an element. */
  async middleOf(selector) {
    const box = await this.call((s) => {
      const { x, y, width, height } = document.querySelector(s).getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    }, selector);
    return [box.x, box.y];
  }

  async clickOn(selector) {
    await this.click(...(await this.middleOf(selector)));
  }

  async screenshot() {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data, "base64");
  }
}

/** Starts the browser, hands a page to `use`, and ends it again whatever happens. */
export async function withPage(look, use) {
  const chromium = findChromium();
  if (!chromium) throw new Error("chromium is not installed (apt install chromium)");
  const home = await mkdtemp(join(tmpdir(), "podflame-chromium-"));
  const child = spawn(chromium, [...flags, `--user-data-dir=${home}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
  });
  try {
    const pipe = new Pipe(child);
    const { targetId } = await pipe.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await pipe.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(pipe, sessionId);
    for (const domain of ["Page", "Runtime"]) await page.send(`${domain}.enable`);
    await page.appear(look);
    return await use(page);
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill();
      await Promise.race([ended, pause(5000).then(() => child.kill("SIGKILL"))]);
    }
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}
