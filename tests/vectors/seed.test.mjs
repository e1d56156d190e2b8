// Every vector of seed.json, played through the built package.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { startScripted } from "../support/scripted.mjs";
import { DIFFERENCES, IMAGE, play, vectors, WANTED } from "./seed.mjs";

let server;

before(async () => {
  server = await startScripted();
});
after(() => server.close());

test("all 43 vectors are here, and every difference belongs to one", () => {
  assert.equal(vectors.length, 43);
  const names = vectors.map(({ name }) => name);
  assert.equal(new Set(names).size, 43);
  for (const [name, numbers] of Object.entries(DIFFERENCES)) {
    assert.ok(names.includes(name), name);
    for (const number of numbers) assert.ok(number in WANTED, `difference ${number}`);
  }
});

for (const vector of vectors) test(vector.name, () => play(vector, server, run));

/** Runs a vector as its user would, and settles: `{ value }` or `{ error }`. */
async function run({ op, ownerUserId, maxRetries, request, storagePath, ttlSeconds }) {
  const sink = await createSink({ url: server.url, apiKey: "test-key", ownerUserId, maxRetries, initialBackoffMs: 1 });
  const { costUsdEstimate, sidecar, ...fields } = request;
  const call =
    op === "sync"
      ? sink.sync({
          ...fields,
          image: IMAGE,
          costUsdEstimate: costUsdEstimate ?? undefined,
          sidecar: sidecar ?? undefined,
        })
      : sink.signedUrl(storagePath, ttlSeconds);
  try {
    return { value: await call };
  } catch (error) {
    assert.equal(error.name, "ImagenCloudError");
    return { error };
  } finally {
    sink.free();
  }
}
