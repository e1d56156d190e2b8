// What others' checkers say of the tarball.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pack } from "./environments.mjs";

const BIN = fileURLToPath(new URL("./tools/node_modules/.bin/", import.meta.url));
let packed;

before(async () => {
  packed = await pack();
});
after(() => packed?.remove());

/** A checker's status and what it says. */
async function check(program, ...args) {
  try {
    const { stdout } = await promisify(execFile)(path.join(BIN, program), args, {
      env: { ...process.env, NO_COLOR: "1" },
    });
    return { status: 0, says: stdout };
  } catch (error) {
    return { status: error.code, says: `${error.stdout}${error.stderr}` };
  }
}

test("publint has nothing to say, not even a suggestion", async () => {
  const { status, says } = await check("publint", "run", packed.tarball, "--strict", "--level", "suggestion");
  assert.equal(status, 0, says);
  assert.match(says, /All good!/);
});

test("the types are right, however they are resolved", async () => {
  // The .wasm has no types of its own; what imports it gets its bundler's. Node 22 requires an ES module as it is.
  const options = [
    "--ignore-rules",
    "cjs-resolves-to-esm",
    "--exclude-entrypoints",
    "imagen_cloud_bg.wasm",
    "imagen_cloud_outbox_bg.wasm",
  ];
  const { status, says } = await check("attw", packed.tarball, ...options);
  assert.equal(status, 0, says);
  assert.match(says, /No problems found/);
});
