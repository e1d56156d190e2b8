// What the components ask of their host: the library neither files nor sockets, only requests, time and chance.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { witOf } from "./translate.mjs";

/** The interfaces that a component's world names after this word, without their versions. */
async function interfaces(world, word) {
  const wit = await witOf(fileURLToPath(new URL(`../../target/component/${world}.wasm`, import.meta.url)));
  return [...wit.matchAll(new RegExp(`^ {2}${word} ([a-z:/-]+)@`, "gm"))].map(([, name]) => name);
}

test("the library asks for requests, time and chance, and for nothing else that it uses", async () => {
  const packages = new Set((await interfaces("library", "import")).map((name) => name.split("/")[0]));
  // wasi:cli is what Rust's standard library looks for as it starts, and tells of a panic by.
  assert.deepEqual([...packages].sort(), ["wasi:cli", "wasi:clocks", "wasi:http", "wasi:io", "wasi:random"]);
  assert.deepEqual(await interfaces("library", "export"), ["imagen:cloud/sinks"]);
});

test("the command asks for files too, and is run", async () => {
  const imports = await interfaces("command", "import");
  assert.ok(imports.includes("wasi:filesystem/preopens") && imports.includes("wasi:http/outgoing-handler"));
  assert.ok(!imports.some((name) => name.startsWith("wasi:sockets/")), String(imports));
  assert.deepEqual(await interfaces("command", "export"), ["wasi:cli/run"]);
});
