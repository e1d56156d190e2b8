// ARCHITECTURE.md is a short page, and its tables name the files that there are.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
const page = await readFile(new URL("ARCHITECTURE.md", ROOT), "utf8");

/** Folders, and how the tables of their files begin. */
const TABLES = { "src/": "in `src/`", "pkg/": "file in `pkg/`", "www/worker/src/": "file in `www/worker/src/`" };
/** A folder's own file, tests, and what is no module. */
const NEEDS_NO_NAME = /(^|\/)(mod\.rs|index\.js|tests\.rs|tests\/.*|README\.md|package\.json|LICENSE.*)$/;
const BUILT = /^(wasm|migrations)\//;

test("architecture_is_a_short_page", () => {
  assert.ok(page.trimEnd().split("\n").length <= 200);
});

for (const [folder, head] of Object.entries(TABLES)) {
  test(`architecture_names_every_module_of_${folder}_and_none_that_is_not_there`, async () => {
    const [, table] = page.split(`| ${head} |`);
    const rows = table.slice(0, table.indexOf("\n\n")).split("\n");
    const names = rows
      .filter((row) => !row.startsWith("| `wasm/`"))
      .flatMap((row) => [...row.matchAll(/`([\w./-]+)`/g)].map(([, name]) => name));
    const entries = await readdir(new URL(folder, ROOT), { recursive: true, withFileTypes: true });
    const base = new URL(folder, ROOT).pathname;
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.replace(/\/+/g, "/").slice(base.length))
      .filter((file) => !BUILT.test(file));
    // A folder's name stands for its files, but a room's does not: those are named one by one.
    const isRoom = (name) => files.includes(`${name}mod.rs`);
    const unnamed = files.filter((file) => {
      const parts = file.split("/");
      const ends = parts.map((_, from) => parts.slice(from).join("/"));
      const folders = parts.slice(0, -1).map((part) => `${part}/`);
      return ![...ends, ...folders.filter((name) => !isRoom(name))].some((name) => names.includes(name));
    });
    assert.deepEqual(
      unnamed.filter((file) => !NEEDS_NO_NAME.test(file)),
      [],
    );
    const named = names.filter((name) => /^(?!tests\/).*\.(rs|js|ts|json)$/.test(name));
    assert.deepEqual(
      named.filter((name) => !files.some((file) => `/${file}`.endsWith(`/${name}`))),
      [],
    );
  });
}
