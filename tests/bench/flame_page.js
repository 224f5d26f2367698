// flame_page.js: the part of flame.mjs that runs in the browser. It makes a tree, gives it to the
// page's flamegraph and to flame-chart-js, and tells what drawing it took.
import { FlameChartContainer, FlameChartPlugin } from "flame-chart-js";
import { readFlame } from "podflame/api";
import { light } from "podflame/flame/palette";
import { FlameWidget } from "podflame/flame/widget";

/** The same tree on every run: `count` nodes on up to 60 levels, most of them narrow. */
function makeColumns(count) {
    let state = 1;
    const roll = (sides) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 4294967296) * sides);
    };
    const depth = new Array(count);
    depth[0] = 0;
    for (let i = 1; i < count; i++) {
        const last = depth[i - 1];
        const deeper = last === 0 || (last < 60 && roll(100) < 62);
        depth[i] = deeper ? last + 1 : 1 + roll(last);
    }
    const self = depth.map((_, i) => (depth[i + 1] > depth[i] ? roll(2) : 1 + roll(8)));
    const total = self.slice();
    const open = [];
    const close = (to) => {
        while (open.length > to) {
            const node = open.pop();
            if (open.length > 0) total[open[open.length - 1]] += total[node];
        }
    };
    for (let i = 0; i < count; i++) {
        close(depth[i]);
        open.push(i);
    }
    close(0);
    const names = Array.from(
        { length: 20000 },
        (_, i) => `library::Module${i % 97}::function_${i}(int)`,
    );
    return {
        names,
        depth,
        name: depth.map(() => roll(names.length)),
        kind: depth.map((d, i) => (d === 0 ? 0 : 1 + (i % 2))),
        self,
        total,
    };
}

const answerOf = (c) =>
    JSON.stringify({
        start_ms: 0,
        end_ms: 1,
        group: [],
        samples: c.total[0],
        cpu_ms: 0,
        period_ns: 1e7,
        folded_nodes: 0,
        names: c.names,
        objects: [""],
        nodes: { ...c, names: undefined, object: c.depth.map(() => 0) },
    });

/** The peer's own form: nodes that hold their children. */
function nestedOf(c) {
    const open = [];
    const next = [0];
    let root;
    for (let i = 0; i < c.depth.length; i++) {
        const d = c.depth[i];
        const kind = c.kind[i] === 2 ? "kernel" : "user";
        const node = {
            name: c.names[c.name[i]],
            start: next[d],
            duration: c.total[i],
            type: kind,
            children: [],
        };
        next[d + 1] = next[d];
        next[d] += c.total[i];
        if (d === 0) root = node;
        else open[d - 1].children.push(node);
        open[d] = node;
    }
    return [root];
}

/** Frames are run by hand, so that a drawing is measured and not the wait for the screen. */
const asked = [];
window.requestAnimationFrame = (frame) => asked.push(frame);
window.cancelAnimationFrame = (id) => {
    if (id > 0) asked[id - 1] = null;
};

function runFrames(canvas) {
    for (let round = 0; round < 100 && asked.some((frame) => frame); round++) {
        const now = asked.splice(0);
        for (const frame of now) if (frame) frame(performance.now());
    }
    canvas.getContext("2d").getImageData(0, 0, 1, 1); // what was only noted down is drawn by this
}

const millis = (what) => {
    const start = performance.now();
    const value = what();
    return { value, ms: performance.now() - start };
};

function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
}

/** Ranges to look at: from the whole down to a thousandth, here and there. */
function rangesOf(total) {
    const ranges = [];
    for (let i = 0; i < 60; i++) {
        const span = total / 10 ** ((i % 20) / 6.5);
        const left = (total - span) * ((i * 0.618) % 1);
        ranges.push([left, left + span]);
    }
    return ranges;
}

/** Either way to draw: { parse, first } in ms, and show(left, right), which draws that range. */
function startOurs(host, text) {
    const ignore = () => undefined;
    const events = { onHover: ignore, onSelect: ignore, onView: ignore, onRowsAbove: ignore };
    const parse = millis(() => JSON.parse(text));
    const first = millis(() => {
        const made = new FlameWidget(host, light, events);
        made.setTree(readFlame(parse.value).tree);
        runFrames(host.querySelector("canvas"));
        return made;
    });
    const show = (left, right) => {
        first.value.show(left, right);
        runFrames(host.querySelector("canvas"));
    };
    return { parse: parse.ms, first: first.ms, show };
}

function startPeer(host, nodes) {
    const canvas = document.createElement("canvas");
    canvas.width = host.clientWidth;
    canvas.height = host.clientHeight;
    host.append(canvas);
    const first = millis(() => {
        const plugins = [new FlameChartPlugin({ data: nodes })];
        const made = new FlameChartContainer({ canvas, plugins });
        made.render();
        runFrames(canvas);
        return made;
    });
    const show = (left, right) => {
        first.value.setZoom(left, right);
        runFrames(canvas);
    };
    return { first: first.ms, show };
}

/** Ours and the peer's by turns, so that what else the machine does is shared between them. */
window.measure = (count) => {
    const columns = makeColumns(count);
    const ours = startOurs(document.getElementById("ours"), answerOf(columns));
    const peer = startPeer(document.getElementById("peer"), nestedOf(columns));
    const took = { ours: [], peer: [] };
    for (const [left, right] of rangesOf(columns.total[0])) {
        took.ours.push(millis(() => ours.show(left, right)).ms);
        took.peer.push(millis(() => peer.show(left, right)).ms);
    }
    const sum = (side, redraws) => ({
        parse: side.parse,
        first: side.first,
        redraw: median(redraws),
        worst: Math.max(...redraws),
    });
    return { ours: sum(ours, took.ours), peer: sum(peer, took.peer) };
};
