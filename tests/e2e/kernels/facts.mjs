// facts.mjs: takes the podflame program and a spool's directory, gives what its batches say of the
// process "burner", as lines KEY=VALUE for matrix.sh.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const [podflame, spool] = process.argv.slice(2);
const facts = { batches: 0, samples: 0, user: 0, burn_user: 0, kernel: 0, kernel_named: 0, burning: 0, lost: 0, strangers: 0 };

/** The frames of a stack, leaf first. */
function framesOf(batch, row) {
  const frames = [];
  for (let at = row; at !== 0; at = batch.stacks[at].parent) frames.push(batch.frames[batch.stacks[at].frame]);
  return frames;
}

function addSample(batch, sample) {
  const process = batch.processes[sample.process];
  if (process.name === "stranger") facts.strangers += sample.count;
  if (process.name !== "burner") return;
  const frames = framesOf(batch, sample.stack);
  const kernel = frames.filter((frame) => frame.kind === "kernel");
  facts.samples += sample.count;
  if (frames.some((frame) => frame.kind === "user")) facts.user += sample.count;
  if (frames.some((frame) => frame.kind === "user" && frame.name === "burn_user")) facts.burn_user += sample.count;
  if (kernel.length > 0) facts.kernel += sample.count;
  if (kernel.some((frame) => frame.name !== "")) facts.kernel_named += sample.count;
  if (process.cgroup === "/burning") facts.burning += sample.count;
}

for (const name of readdirSync(spool).sort()) {
  if (name.startsWith(".") || !name.includes(".batch")) continue;
  const batch = JSON.parse(
    execFileSync(podflame, ["batch", join(spool, name)], { encoding: "utf8", maxBuffer: 1 << 28 }),
  );
  facts.batches++;
  facts.lost += batch.counters.lost ?? 0;
  for (const sample of batch.samples) addSample(batch, sample);
}
for (const [key, value] of Object.entries(facts)) console.log(`${key}=${value}`);
