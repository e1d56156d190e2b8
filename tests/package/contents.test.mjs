// What the package carries from the machine that built it: nothing.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("the wasm names no folder of the machine that built it", async () => {
  const wasm = await readFile(new URL("../../pkg/wasm/imagen_cloud_bg.wasm", import.meta.url), "latin1");
  for (const folder of [ROOT, homedir(), process.env.CARGO_HOME, "registry/src"]) {
    if (folder) assert.ok(!wasm.includes(folder), folder);
  }
});
