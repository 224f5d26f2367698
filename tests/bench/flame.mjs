// flame.mjs: draws one tree of a million nodes with the page's flamegraph and with flame-chart-js,
// in one browser, and prints what each took and the ratio. `make bench-web` calls it in a directory
// that has the peer in node_modules.
import { createRequire } from "node:module";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { withPage } from "../e2e/browser.mjs";

const source = process.env.top_srcdir;
const build = process.env.top_builddir;
const nodes = Number(process.argv[2] ?? 1_000_000);

const { build: bundle } = createRequire(resolve(build, "src/web/work/package.json"))("esbuild");

async function pageIn(dir) {
  await bundle({
    entryPoints: [resolve(source, "tests/bench/flame_page.js")],
    outfile: join(dir, "page.js"),
    bundle: true,
    minify: true,
    format: "iife",
    alias: { podflame: resolve(source, "src/web") },
    nodePaths: [resolve("node_modules")],
    logLevel: "warning",
  });
  const html = join(dir, "page.html");
  await writeFile(
    html,
    `<!doctype html><meta charset="utf-8"><style>body { margin: 0; font-family: sans-serif }
    div { position: relative; width: 1280px; height: 1200px }
    canvas { position: absolute; inset: 0 }</style><div id="ours"></div><div id="peer"></div>
    <script src="page.js"></script>`,
  );
  return pathToFileURL(html).href;
}

const ms = (value) => `${value.toFixed(1)} ms`.padStart(12);
const line = (what, ours, peer) =>
  console.log(`${what.padEnd(16)}${ms(ours)}${ms(peer)}${(peer / ours).toFixed(1).padStart(9)}`);

const dir = await mkdtemp(join(tmpdir(), "podflame-bench-"));
try {
  await withPage({ width: 1280, height: 1200, still: true }, async (page) => {
    await page.open(await pageIn(dir));
    const { ours, peer } = await page.call((count) => window.measure(count), nodes);
    console.log(`${nodes} nodes, 1280x1200`);
    console.log("                    podflame flame-chart-js  ratio");
    line("first paint", ours.first, peer.first);
    line("redraw, median", ours.redraw, peer.redraw);
    line("redraw, slowest", ours.worst, peer.worst);
    console.log(`(JSON.parse of our answer before that: ${ours.parse.toFixed(0)} ms)`);
  });
} finally {
  await rm(dir, { recursive: true, force: true });
}
