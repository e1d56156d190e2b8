// Every example, and what is asked of each: `make package-test`.
import assert from "node:assert/strict";
import { access, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { startBrowser } from "../support/browser.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { pack } from "./environments.mjs";
import { createExample, EXAMPLES, examples } from "./examples.mjs";

const rows = [];
let packed;
let backend;
let browser;

before(async () => {
  [packed, backend, browser] = await Promise.all([pack(), startEmbedded(), startBrowser()]);
});
after(async () => {
  await Promise.all([packed?.remove(), backend?.close(), browser?.close()]);
  console.log(["example".padEnd(44), ...rows].join("\n"));
});

for (const [name, { example, drive }] of Object.entries(examples)) {
  test(`the example brings an image into its place: ${name}`, async (t) => {
    const begun = Date.now();
    const { folder, remove } = await createExample(packed.tarball, example);
    t.after(remove);
    await drive({ folder, backend, browser, user: await backend.createUser() });
    rows.push(`${name.padEnd(34)} ${`${((Date.now() - begun) / 1000).toFixed(1)} s`.padStart(9)}`);
  });
}

test("every_example_is_driven_and_has_a_readme_and_at_most_120_lines", async () => {
  const folders = await readdir(EXAMPLES, { withFileTypes: true });
  const names = folders.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const driven = new Set(Object.values(examples).map(({ example }) => example));
  // Those without JavaScript are tried by composed.test.mjs.
  assert.deepEqual([...driven, "wasi-python", "wasi-service"].sort(), names.sort());
  for (const name of names) {
    await access(path.join(EXAMPLES, name, "README.md"));
    const lines = await Promise.all((await ownFiles(path.join(EXAMPLES, name))).map(linesOf));
    const sum = lines.reduce((total, each) => total + each, 0);
    assert.ok(sum <= 120, `${name} has ${sum} lines of code`);
  }
});

/** What is written by hand, and runs. */
async function ownFiles(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const inner = entries.map((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|dist|build|target|\..*)$/.test(entry.name) ? [] : ownFiles(file);
    return /\.(m?[jt]s|[jt]sx|html|svelte|rs|py)$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [file] : [];
  });
  return (await Promise.all(inner)).flat();
}

/** Without empty ones and comments. */
async function linesOf(file) {
  const lines = (await readFile(file, "utf8")).split("\n");
  return lines.filter((line) => !/^\s*($|\/\/|\/?\*|<!--)/.test(line)).length;
}
