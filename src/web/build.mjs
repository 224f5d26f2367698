// build.mjs: takes the page's sources, gives static files in dist/: index.html and what it names.
// With --tests it bundles test/*.test.ts into one file for node instead.
import { build } from "esbuild";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";

const common = { bundle: true, legalComments: "none", logLevel: "warning" };

async function bundleTests() {
  const tests = (await readdir("test")).filter((name) => name.endsWith(".test.ts")).sort();
  await build({
    ...common,
    stdin: { contents: tests.map((t) => `import "./test/${t}";`).join("\n"), resolveDir: "." },
    platform: "node",
    target: "node18",
    format: "esm",
    sourcemap: "inline",
    outfile: "dist-tests/all.mjs",
  });
}

// Names carry a hash of the bytes: a browser may keep them for ever, and never mixes two versions.
async function bundlePage() {
  await rm("dist", { recursive: true, force: true });
  await mkdir("dist");
  const result = await build({
    ...common,
    entryPoints: ["main.tsx", "style.css", "favicon.svg"],
    loader: { ".svg": "copy" },
    entryNames: "[name]-[hash]",
    outdir: "dist",
    format: "esm",
    target: ["es2021", "chrome100", "firefox100", "safari15"],
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: true,
    metafile: true,
  });
  let html = await readFile("index.html", "utf8");
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    const source = output.entryPoint ?? Object.keys(output.inputs)[0];
    html = html.replace(`%${source}%`, basename(path));
  }
  const left = /%[\w.]+%/.exec(html);
  if (left) throw new Error(`index.html names ${left[0]}, which was not built`);
  await writeFile("dist/index.html", html);
}

await (process.argv.includes("--tests") ? bundleTests() : bundlePage());
