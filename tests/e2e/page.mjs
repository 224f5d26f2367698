// page.mjs: takes the address of a server that holds the profile of page.sh, uses its page as a
// person does, and says in TAP whether that person sees what is true.
import assert from "node:assert/strict";
import { withPage } from "./browser.mjs";

const server = process.argv[2];
const look = { width: 1280, height: 800, still: true };

// What page.sh posted: 1000 samples of two processes.
const longName =
  "std::_Hashtable<std::string, std::pair<std::string const, Cart>, std::allocator<Item> >::find(std::string const&)";
const total = 1000;

let count = 0;
let failed = 0;

async function check(name, what) {
  count++;
  try {
    await what();
    console.log(`ok ${count} - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${count} - ${name}`);
    console.log(`${error.stack ?? error}`.replace(/^/gm, "# "));
  }
}

// ---- how the page is read and where things are on it

const visible = (page, selector) =>
  page.call(
    (s) => document.querySelector(s)?.innerText.replace(/\s+/g, " ").trim() ?? "",
    selector,
  );

async function load(page, address) {
  await page.open(new URL(address, server).href);
  await settle(page);
}

/** Waits until the answers are there and drawn. */
async function settle(page) {
  await page.until("the page has its answers", () => {
    const shown = document.querySelector(".flame-base, .empty h2, .error");
    return shown && !document.querySelector("[aria-busy=true]");
  });
  await drawn(page);
}

/** Two frames on, all that was to be drawn is. */
const drawn = (page) =>
  page.call(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** The place of a sample on a level, when all samples are shown. */
async function placeOf(page, level, sample, shown = [0, total]) {
  const box = await page.call(() => {
    const { left, bottom, width } = document.querySelector(".flame").getBoundingClientRect();
    return { left, bottom, width };
  });
  const share = (sample + 0.5 - shown[0]) / (shown[1] - shown[0]);
  return [box.left + share * box.width, box.bottom - 20 * level - 10];
}

async function tooltipUnder(page, x, y) {
  await page.hover(x, y);
  await drawn(page);
  return visible(page, ".tooltip");
}

async function tooltipAt(page, level, sample, shown) {
  return tooltipUnder(page, ...(await placeOf(page, level, sample, shown)));
}

async function clickAt(page, level, sample, shown) {
  await page.click(...(await placeOf(page, level, sample, shown)));
  await settle(page);
}

/** The colour of the canvas in a frame's left part, above its text. */
async function colourAt(page, level, sample) {
  const [x, y] = await placeOf(page, level, sample);
  return page.call(
    (clientX, clientY) => {
      const canvas = document.querySelector(".flame-base");
      const { left, top } = canvas.getBoundingClientRect();
      const at = [Math.round(clientX - left), Math.round(clientY - top - 8)];
      return [...canvas.getContext("2d").getImageData(...at, 1, 1).data];
    },
    x,
    y,
  );
}

const processes = (page) =>
  page.call(() =>
    [...document.querySelectorAll(".process")].map((row) => [
      row.querySelector(".process-name").innerText,
      row.querySelector(".process-share").innerText,
      row.getAttribute("aria-pressed"),
    ]),
  );

async function clickProcess(page, name) {
  const place = await page.call((wanted) => {
    const rows = [...document.querySelectorAll(".process")];
    const row = rows.find((r) => r.querySelector(".process-name").innerText === wanted);
    const { x, y, width, height } = row.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  }, name);
  await page.click(...place);
  await settle(page);
}

async function runRange(page, start, end = "now") {
  await page.type("input[name=start_time]", start);
  await page.type("input[name=end_time]", end);
  await page.clickOn(".run");
  await settle(page);
}

const address = (page) => page.call(() => location.search);

// ---- what a person sees

async function looking(page) {
  await load(page, "/");
  await check("the processes are listed with their share of the CPU, most first", async () => {
    assert.deepEqual(await processes(page), [
      ["burner", "80.0 %", "false"],
      ["shop", "20.0 %", "false"],
    ]);
  });
  await check("the number of samples and their CPU time are told", async () => {
    assert.match(await visible(page, ".summary"), /^1,000 samples 10\.0 s CPU/);
  });
  await check("the root is at the bottom, the groups above it, then the frames", async () => {
    assert.match(await tooltipAt(page, 0, 500), /^all 100 % 1,000 samples/);
    assert.match(await tooltipAt(page, 1, 500), /^burner 80\.0 % 800 samples .* process/);
    assert.match(await tooltipAt(page, 2, 500), /^main 80\.0 % 800 samples/);
    assert.match(await tooltipAt(page, 3, 100), /^hot_loop 50\.0 % 500 samples/);
    assert.match(await tooltipAt(page, 4, 600), /^vfs_read 20\.0 % 200 samples .* kernel/);
  });
  await check(
    "a frame that is too narrow for its name tells all of it under the mouse",
    async () => {
      const text = await tooltipAt(page, 3, 925);
      assert.ok(text.startsWith(`${longName} 15.0 % 150 samples`), text);
      assert.match(text, /\/usr\/bin\/shop/);
    },
  );
  await check("a frame without a symbol is named by its object and address", async () => {
    assert.match(await tooltipAt(page, 3, 825), /^libshop\.so\+0x1a2b 5\.0 % 50 samples/);
  });
  await check("where no frame is, nothing is told", async () => {
    assert.equal(await tooltipAt(page, 5, 100), "");
  });
}

async function colours(page) {
  await load(page, "/");
  await check("the kernel is green, user code light blue, groups dark blue", async () => {
    const [kr, kg, kb] = await colourAt(page, 4, 600);
    assert.ok(kg > kr + 30 && kg > kb + 30, `kernel is ${[kr, kg, kb]}`);
    const [ur, ug, ub] = await colourAt(page, 3, 100);
    assert.ok(ub > ug && ug > ur && ub > 200, `user is ${[ur, ug, ub]}`);
    for (const level of [0, 1]) {
      const [mr, mg, mb] = await colourAt(page, level, 500);
      assert.ok(mb > mg && mg > mr && mb < 160, `level ${level} is ${[mr, mg, mb]}`);
    }
    assert.deepEqual((await colourAt(page, 5, 100)).slice(0, 3), [255, 255, 255], "paper");
  });
  await page.appear({ ...look, dark: true });
  await check("on a dark desktop the page is dark", async () => {
    await page.until("the paper is dark", () => {
      const [r, g, b] = document
        .querySelector(".flame-base")
        .getContext("2d")
        .getImageData(0, 0, 1, 1).data;
      return Math.max(r, g, b) < 50;
    });
    const [kr, kg, kb] = await colourAt(page, 4, 600);
    assert.ok(kg > kr + 30 && kg > kb + 30, `kernel is ${[kr, kg, kb]}`);
  });
  await page.appear(look);
}

async function moving(page) {
  await load(page, "/");
  const shop = [800, 1000];
  await clickAt(page, 1, 900);
  await check("a click zooms to the frame; what called it stays below", async () => {
    assert.match(await tooltipAt(page, 1, 801, shop), /^shop 20\.0 %/);
    assert.match(await tooltipAt(page, 1, 999, shop), /^shop 20\.0 %/);
    assert.match(await tooltipAt(page, 3, 851, shop), /^std::_Hashtable/);
    assert.match(await tooltipAt(page, 0, 900, shop), /^all 100 %/);
    assert.match(await visible(page, ".status"), /Showing 20\.0 %/);
  });
  await clickAt(page, 0, 900, shop);
  await check("a click on the bottom bar shows all again", async () => {
    assert.match(await tooltipAt(page, 1, 100), /^burner/);
    assert.match(await tooltipAt(page, 1, 999), /^shop/);
    assert.doesNotMatch(await visible(page, ".status"), /Showing/);
  });
  const mouse = await placeOf(page, 3, 600);
  await check("scrolling zooms, and what is under the mouse stays there", async () => {
    await page.wheel(...mouse, -600);
    await settle(page);
    await page.until("the page has zoomed", () => document.querySelector(".status .plain"));
    assert.match(await tooltipUnder(page, ...mouse), /^read_file/);
    assert.match(await tooltipAt(page, 1, 999), /^burner/, "shop is out of sight");
  });
  await check("dragging moves the flamegraph with the mouse", async () => {
    const before = await tooltipAt(page, 3, 600);
    assert.match(before, /^read_file/);
    await page.drag(...mouse, 380, 0);
    await settle(page);
    const here = await tooltipUnder(page, ...mouse);
    assert.match(here, /^hot_loop/, `here is what was further left, not ${here}`);
    const right = await tooltipUnder(page, mouse[0] + 380, mouse[1]);
    assert.match(right, /^read_file/, `further right is what was here, not ${right}`);
  });
  await clickAt(page, 0, 500);
}

async function keyboard(page) {
  await load(page, "/");
  await page.call(() => document.querySelector(".flame").focus());
  await check("the keyboard walks the frames, zooms, and shows all again", async () => {
    for (const key of ["ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp"]) await page.press(key);
    assert.match(await visible(page, ".chosen"), /^hot_loop · 50\.0 % · 500 samples/);
    await page.press("ArrowRight");
    assert.match(await visible(page, ".chosen"), /^read_file/);
    await page.press("ArrowUp");
    assert.match(await visible(page, ".chosen"), /^vfs_read/);
    await page.press("Enter");
    await settle(page);
    assert.match(await visible(page, ".status"), /Showing 20\.0 %/);
    await page.press("Escape");
    await settle(page);
    assert.doesNotMatch(await visible(page, ".status"), /Showing/);
  });
  await check("Enter in a time field asks, and every control has a name", async () => {
    await page.type("input[name=start_time]", "-10m");
    await page.press("Enter");
    await settle(page);
    assert.match(await address(page), /start=-10m/);
    const nameless = await page.call(() =>
      [...document.querySelectorAll("button, input, select, [tabindex]")]
        .filter((e) => !(e.innerText?.trim() || e.ariaLabel || e.labels?.[0]?.innerText.trim()))
        .map((e) => e.outerHTML),
    );
    assert.deepEqual(nameless, []);
  });
}

async function searching(page) {
  await load(page, "/");
  const before = await colourAt(page, 4, 600);
  await check("a search says how much matches, and marks it", async () => {
    await page.type(".search input", "vfs_");
    await settle(page);
    assert.equal(await visible(page, ".found"), "20.0 % matched");
    const marked = await colourAt(page, 4, 600);
    assert.notDeepEqual(marked, before);
    assert.ok(marked[0] > marked[1] + 30, `a match is ${marked}`);
    assert.match(await address(page), /search=vfs_/);
  });
  await check("what does not match says so", async () => {
    await page.type(".search input", "nothing_like_it");
    await settle(page);
    assert.equal(await visible(page, ".found"), "no match");
  });
}

async function choosing(page) {
  await load(page, "/");
  await clickProcess(page, "shop");
  await check("a click on a process shows only that one", async () => {
    assert.match(await visible(page, ".summary"), /^200 samples 2\.0 s CPU .*process shop/);
    assert.match(await tooltipAt(page, 2, 0, [0, 200]), /^serve 100 % 200 samples/);
    assert.match(await address(page), /process=shop/);
    assert.deepEqual(await processes(page), [
      ["burner", "80.0 %", "false"],
      ["shop", "20.0 %", "true"],
    ]);
  });
  await check("the address alone shows the same to somebody else", async () => {
    await load(page, `/${await address(page)}`);
    assert.match(await visible(page, ".summary"), /^200 samples/);
  });
  await clickProcess(page, "shop");
  await check("a second click shows all again", async () => {
    assert.match(await visible(page, ".summary"), /^1,000 samples/);
    assert.equal(await address(page), "");
  });
  await check("the browser's back button goes back", async () => {
    await page.call(() => history.back());
    await page.until("the process is chosen again", () => location.search.includes("process=shop"));
    await settle(page);
    assert.match(await visible(page, ".summary"), /^200 samples/);
  });
}

async function ranges(page) {
  await load(page, "/");
  await runRange(page, "-3h");
  await check("RUN with an earlier start shows what was sampled since", async () => {
    assert.deepEqual(await processes(page), [
      ["burner", "64.0 %", "false"],
      ["earlier", "20.0 %", "false"],
      ["shop", "16.0 %", "false"],
    ]);
    assert.match(await visible(page, ".summary"), /^1,250 samples/);
    assert.match(await address(page), /start=-3h/);
  });
  await check("an absolute range in RFC 3339 or seconds is taken too", async () => {
    const now = Math.floor(Date.now() / 1000);
    await runRange(page, String(now - 3 * 3600), new Date((now - 3600) * 1000).toISOString());
    assert.match(await visible(page, ".summary"), /^250 samples/);
  });
  await runRange(page, "yesterday");
  await check(
    "a time that is none gets the server's reason, and what was shown stays",
    async () => {
      assert.match(await visible(page, ".error"), /start.*'yesterday'/);
      assert.equal(
        await page.call(() => document.querySelectorAll("[aria-invalid=true]").length),
        1,
      );
      assert.match(await visible(page, ".summary"), /^250 samples/);
    },
  );
  await runRange(page, "-5m");
  await check("a good time after it takes the reason away", async () => {
    assert.equal(await visible(page, ".error"), "");
    assert.match(await visible(page, ".summary"), /^1,000 samples/);
  });
  await runRange(page, "-8h", "-7h");
  await check("a range without samples says what to do, and that leads somewhere", async () => {
    await page.until("the reason is there", () => document.querySelector(".empty h2"));
    assert.match(await visible(page, ".empty"), /No samples here/);
    await page.clickOn(".choice:last-child");
    await settle(page);
    assert.match(await visible(page, ".summary"), /^1,000 samples/);
  });
}

async function nodes(page) {
  await load(page, "/?start=-6h&end=-4h");
  const rows = () =>
    page.call(() =>
      [...document.querySelectorAll(".process")].map((row) =>
        row.innerText.replace(/\s+/g, " ").trim(),
      ),
    );
  await check("a process that runs on two nodes stands there twice, with the node", async () => {
    assert.deepEqual(await rows(), ["twin node-1 75.0 %", "twin node-2 25.0 %"]);
  });
  await page.clickOn("li:last-child .process");
  await settle(page);
  await check("a click shows that of the one node", async () => {
    assert.match(await visible(page, ".summary"), /^50 samples/);
    assert.match(await address(page), /node=node-2/);
    assert.deepEqual(
      (await processes(page)).map((row) => row[2]),
      ["false", "true"],
    );
    assert.equal((await rows()).length, 2);
  });
  await page.clickOn("li:last-child .process");
  await settle(page);
  await check("a second click shows both again", async () => {
    assert.match(await visible(page, ".summary"), /^200 samples/);
    assert.doesNotMatch(await address(page), /node=|process=/);
  });
}

async function depths(page) {
  await load(page, "/?start=-10h&end=-8h");
  const edges = await page.call(() => {
    const { left, top, bottom, width } = document.querySelector(".flame").getBoundingClientRect();
    return { x: left + width / 2, top: top + 9, bottom: bottom - 9 };
  });
  await check("a stack that is higher than the page says so", async () => {
    assert.match(await visible(page, ".more-rows"), /^▲ \d+ more rows$/);
  });
  await check("dragging goes up to its end, and the root stays at the bottom", async () => {
    for (let i = 0; i < 4; i++) await page.drag(edges.x, edges.top + 20, 0, 500);
    assert.match(await tooltipUnder(page, edges.x, edges.top), /^f100 /);
    assert.match(await tooltipUnder(page, edges.x, edges.bottom), /^all /);
    assert.equal(await visible(page, ".more-rows"), "");
  });
  await check("a click on the bottom bar goes back down", async () => {
    await page.click(edges.x, edges.bottom);
    await settle(page);
    assert.match(await tooltipUnder(page, edges.x, edges.bottom - 18), /^deep /);
  });
}

async function quality(page) {
  await load(page, "/?start=-13h&end=-11h");
  await check("a line says how many stacks are whole, what most ended the others, and how they were got", async () => {
    await page.until("the counts are there", () => document.querySelectorAll(".shares")[1]);
    assert.equal(
      await visible(page, ".stacks summary"),
      "Stacks 91.7 % whole 5.0 % truncated 2.5 % no unwind info … " +
        "Callers by 92.0 % unwind table 7.0 % frame pointer 0.98 % scan …",
    );
  });
  await check("its words are explained under the mouse and when it is opened", async () => {
    const title = await page.call(() => document.querySelectorAll(".share")[1].title);
    assert.match(title, /beyond the part of it that was copied.* --stack-bytes/);
    assert.equal(await page.call(() => document.querySelector(".stacks-more").checkVisibility()), false);
    await page.clickOn(".stacks summary");
    await settle(page);
    const text = await visible(page, ".stacks-more");
    assert.match(text, /5\.0 % truncated .* --stack-bytes.* 2\.5 % no unwind info .* CAP_SYS_PTRACE/);
    assert.match(text, /0\.83 % inconsistent .*0\.02 % by magic/);
    assert.match(text, /92\.0 % unwind table What the compiler .*0\.50 % of the stacks were unwound before/);
    await page.clickOn(".stacks summary");
    await settle(page);
  });
  const shown = [0, 1200];
  await check("a marker in the flamegraph says what it means and what to do", async () => {
    // Siblings stand sorted by name: [inconsistent stack], [no unwind info], [truncated], main.
    const text = await tooltipAt(page, 2, 70, shown);
    assert.match(text, /^\[truncated\] 5\.0 % 60 samples .* marker .* Raise podflamed's --stack-bytes/);
    assert.match(await tooltipAt(page, 2, 20, shown), /^\[no unwind info\] .* neither CFI/);
    assert.doesNotMatch(await tooltipAt(page, 2, 500, shown), /podflamed/);
    await clickAt(page, 2, 70, shown);
    assert.match(await visible(page, ".chosen"), /^\[truncated\] · 5\.0 % · 60 samples · The stack went on/);
  });
  await clickProcess(page, "whole");
  await check("a process has its own share of whole stacks", async () => {
    assert.match(await visible(page, ".stacks summary"), /^Stacks 100 % whole Callers by 92\.0 %/);
  });
  await load(page, "/?start=-3h&end=-1h");
  await check("where agents counted nothing, nothing is said of callers", async () => {
    assert.equal(await visible(page, ".stacks summary"), "Stacks 100 % whole");
  });
}

async function names(page) {
  await load(page, "/?start=-15h&end=-13h");
  const full = "std::vector<int, std::allocator<int> >::push_back(int const&)";
  await check("a box's tooltip has the name in full, what it is, and its file", async () => {
    const text = await tooltipAt(page, 3, 600);
    assert.ok(text.startsWith(`${full} 40.0 % 400 samples`), text);
    assert.match(text, /inlined · \/usr\/bin\/mixed · stl_vector\.h ·/);
    assert.match(await tooltipAt(page, 3, 400), /^com\.acme\.Cart\.total\(int\) .* JIT code/);
    assert.match(await tooltipAt(page, 2, 400), /^main 70\.0 % .* main\.cc ·/);
  });
  await check("a search looks at names in full and as the boxes show them", async () => {
    for (const text of ["allocator<int>", "vector<…>::push"]) {
      await page.type(".search input", text);
      await settle(page);
      assert.equal(await visible(page, ".found"), "40.0 % matched", text);
    }
    await page.type(".search input", "");
    await settle(page);
  });
  await check("an interpreter says how to get names of what it runs", async () => {
    assert.match(await tooltipAt(page, 2, 100), /^_PyEval_EvalFrameDefault .* -X perf /);
  });
  const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
  const kinds = { user: [2, 400], jit: [3, 400], inlined: [3, 600], kernel: [3, 950] };
  for (const dark of [false, true]) {
    await page.appear({ ...look, dark });
    await drawn(page);
    await check(`kinds of code have colours of their own${dark ? ", also in the dark" : ""}`, async () => {
      const colours = {};
      for (const [kind, place] of Object.entries(kinds)) colours[kind] = await colourAt(page, ...place);
      for (const [a, x] of Object.entries(colours))
        for (const [b, y] of Object.entries(colours))
          assert.ok(a === b || apart(x, y) > 40, `${a} is ${x}, ${b} is ${y}`);
    });
  }
  await page.appear(look);
  await check("the legend names every kind that is there", async () => {
    assert.match(await visible(page, ".legend"), /^user kernel JIT code inlined$/);
  });
  await page.clickOn("input[name=lines]");
  await settle(page);
  await check("with lines a function is a box for each of them, and says which", async () => {
    assert.match(await address(page), /lines=true/);
    assert.match(await tooltipAt(page, 2, 400), /^main 50\.0 % .* main\.cc:10 ·/);
    assert.match(await tooltipAt(page, 2, 900), /^main 20\.0 % .* main\.cc:12 ·/);
    assert.match(await tooltipAt(page, 3, 600), /stl_vector\.h:1289/);
  });
  await check("the address alone shows the same lines to somebody else", async () => {
    await load(page, `/${await address(page)}`);
    assert.equal(await page.call(() => document.querySelector("input[name=lines]").checked), true);
    assert.match(await tooltipAt(page, 2, 900), /main\.cc:12/);
  });
  await page.clickOn("input[name=lines]");
  await settle(page);
  await check("without them they are one again", async () => {
    assert.match(await tooltipAt(page, 2, 900), /^main 70\.0 %/);
    assert.doesNotMatch(await address(page), /lines/);
  });
}

await withPage(look, async (page) => {
  const parts = [looking, colours, moving, keyboard, searching, choosing, ranges, nodes, depths, quality, names];
  for (const part of parts) {
    await part(page).catch((error) =>
      check(`${part.name} goes on to its end`, () => Promise.reject(error)),
    );
  }
  await check("the page complained of nothing", async () => {
    assert.deepEqual(page.complaints, []);
  });
});
console.log(`1..${count}`);
process.exitCode = failed > 0 ? 1 : 0;
