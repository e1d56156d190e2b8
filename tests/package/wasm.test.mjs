// What the build makes of a module's functions, so that less is loaded.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { functionsOf } from "../../scripts/leb128.mjs";
import { ordered } from "../../scripts/order.mjs";
import { trapping } from "../../scripts/panics.mjs";

const moduleOf = (name) => readFile(new URL(`../../pkg/wasm/${name}_bg.wasm`, import.meta.url));

for (const name of ["imagen_cloud", "imagen_cloud_outbox"]) {
  test(`${name}: nothing says where in the source a panic happened`, async () => {
    assert.doesNotMatch((await moduleOf(name)).toString("latin1"), /\w\.rs\b/);
  });
}

test("every function has a place of its own in the new order, and stays what it is", async () => {
  const wasm = await moduleOf("imagen_cloud");
  const [before, after] = [functionsOf(wasm), functionsOf(ordered(wasm))];
  assert.ok(before.length > 500);
  assert.deepEqual(
    after.map(({ index, body }) => ({ index, body })),
    before.map(({ index, body }) => ({ index, body })),
  );
  const places = after.map(({ name }) => Number(name)).sort((one, other) => one - other);
  assert.deepEqual(places, [...before.keys()]);
});

test("a module whose panics can't be found is an error, and not one that is larger", async () => {
  const wasm = await moduleOf("imagen_cloud"); // without its functions' names
  assert.throws(() => trapping(wasm), /see scripts\/panics\.mjs/);
});
