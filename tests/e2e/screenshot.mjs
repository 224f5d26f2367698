// screenshot.mjs: takes the address of a page of podflame, gives a picture of it:
//     node screenshot.mjs URL OUT.png [--size 1280x800] [--scale 2] [--dark] [--hover X,Y]
import { writeFile } from "node:fs/promises";
import { withPage } from "./browser.mjs";

function option(name, otherwise) {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
}

const [url, out] = process.argv.slice(2);
if (!url || !out) {
  console.error("screenshot.mjs URL OUT.png [--size 1280x800] [--scale 2] [--dark] [--hover X,Y]");
  process.exit(2);
}
const [width, height] = option("--size", "1280x800").split("x").map(Number);
const look = {
  width,
  height,
  scale: Number(option("--scale", "1")),
  dark: process.argv.includes("--dark"),
  still: true,
};
await withPage(look, async (page) => {
  await page.open(url);
  await page.until("the page has its answers", () => {
    return (
      document.querySelector(".flame-base, .empty h2, .error") &&
      !document.querySelector("[aria-busy=true]")
    );
  });
  const place = option("--hover", "");
  if (place) await page.hover(...place.split(",").map(Number));
  await page.call(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))),
  );
  await writeFile(out, await page.screenshot());
  for (const complaint of page.complaints) console.error(complaint);
});
