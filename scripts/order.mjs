// Puts functions that are alike side by side, so that brotli finds nearby what repeats: some percent of the whole. Names them by
// their place, in which wasm-opt's --reorder-functions-by-name puts them, and keeps the name behind it.
// Usage: node scripts/order.mjs MODULE
import { readFile, writeFile } from "node:fs/promises";
import { functionsOf, moduleOf, number, SECTION, sectionsOf, sized, text } from "./leb128.mjs";

/** Two functions are the more alike the more runs of so many bytes they share. */
const RUN_BYTES = 4;
/** So that small functions are not alike by chance. */
const SMALL_BYTES = 100;
/** What is left, from one function to the next, of the likeness to those before. */
const MEMORY = 0.7;

export function ordered(wasm) {
  const functions = functionsOf(wasm);
  const digits = String(functions.length).length;
  const place = new Map(chain(functions.map(({ body }) => runsOf(body))).map((at, rank) => [functions[at], rank]));
  const named = functions.map((each) => [
    number(each.index),
    text(`${String(place.get(each)).padStart(digits, "0")} ${each.name}`),
  ]);
  const names = Buffer.concat([number(functions.length), ...named.flat()]);
  const section = Buffer.concat([text("name"), number(1), sized(names)]);
  const others = sectionsOf(wasm).filter(
    ({ id, body }) => id !== SECTION.custom || !body.subarray(1, 5).equals(Buffer.from("name")),
  );
  return moduleOf(wasm, [...others, { id: SECTION.custom, body: section }]);
}

function runsOf(body) {
  const runs = new Set();
  for (let at = 0; at + RUN_BYTES <= body.length; at++) runs.add(body.readUIntBE(at, RUN_BYTES));
  return runs;
}

/** From each to the one that is most like it, and like those before it, of all that are left. */
function chain(all) {
  const holders = new Map();
  for (const [at, runs] of all.entries()) {
    for (const run of runs) {
      if (!holders.has(run)) holders.set(run, []);
      holders.get(run).push(at);
    }
  }
  const shared = new Float64Array(all.length);
  const left = new Set(all.keys());
  const order = [];
  for (let at = 0; at >= 0; at = next()) {
    left.delete(at);
    order.push(at);
    for (const other of shared.keys()) shared[other] *= MEMORY;
    for (const run of all[at]) {
      const some = holders.get(run);
      for (const other of some) shared[other] += 1 / Math.log2(1 + some.length); // what few have tells more
    }
  }
  return order;

  function next() {
    let [next, most] = [-1, -1];
    for (const at of left) {
      const likeness = shared[at] / (all[at].size + SMALL_BYTES);
      if (likeness > most) [next, most] = [at, likeness];
    }
    return next;
  }
}

const [, script, file] = process.argv;
if (script === import.meta.filename) await writeFile(file, ordered(await readFile(file)));
