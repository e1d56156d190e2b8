// What the examples have to show beside that they run, which is asked by tests/packaging.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const EXAMPLES = new URL("../../examples/", import.meta.url);
/** Their sink is needed for as long as page, worker or process lives, and their memory ends with it. */
const LIVES_ON = ["html/main.js", "node-folder/send-folder.mjs", "vite-react/sw.ts", "web-worker/worker.js"];

test("an_example_frees_its_sink_where_something_outlives_it", async () => {
  const own = (await readdir(EXAMPLES, { recursive: true })).filter(
    (file) => /\.(m?js|tsx?|svelte)$/.test(file) && !/(^|\/)(node_modules|dist|build|\.[^/]*)\//.test(file),
  );
  const makers = [];
  for (const file of own.sort()) {
    const text = await readFile(new URL(file, EXAMPLES), "utf8");
    if (/\bcreate(Sink|Relay|SinkFromEnv)\(/.test(text))
      makers.push({ file, frees: /\.free\(\)|\busing\b/.test(text) });
  }
  const still = makers.filter(({ frees }) => !frees).map(({ file }) => file);
  assert.deepEqual(still, LIVES_ON);
  assert.ok(makers.length > LIVES_ON.length, `${makers.length}`);
});
