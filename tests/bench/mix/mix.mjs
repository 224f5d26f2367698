// mix.mjs: maps, regular expressions, JSON, sorting, recursion and crypto, for the corpus.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const depth = (n, f) => (n ? depth(n - 1, f) : f());
const text = readFileSync(process.argv[2], "latin1").slice(0, 6000000);
for (let start = 0; start < text.length; start += 300000) {
    const part = text.slice(start, start + 300000);
    const count = new Map();
    for (const w of part.match(/[A-Za-z_]\w+/g) ?? []) count.set(w, (count.get(w) ?? 0) + 1);
    const top = depth(50, () => [...count].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
    const json = JSON.stringify(Object.fromEntries(top));
    createHash("sha256").update(gzipSync(json)).update(JSON.stringify(JSON.parse(json))).digest("hex");
}
