// The outbox through chaos, in seconds; `make chaos` does the same at length, see long.mjs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inTurn } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { runKills, runOutbox } from "./outbox.mjs";
import { drawnKinds } from "./syncs.mjs";

const LIMIT_MS = 60_000;
let supabase;

before(async () => {
  supabase = await startEmbedded();
});
after(() => supabase?.close());

test("20 images through an outbox at a rate of 50 %: all arrive, once", async () => {
  const { faults } = await runOutbox({ supabase, place: inTurn(2), count: 20, limitMs: LIMIT_MS });
  const kinds = drawnKinds(faults);
  assert.ok(kinds.length >= 8, `only ${kinds} happened`);
});

test("a browser that is killed 5 times while it drains through chaos loses no image and sends none twice", async () => {
  const { kills, images } = await runKills({ supabase, seed: 1, rate: 0.2, kills: 5, limitMs: LIMIT_MS });
  assert.equal(kills, 5);
  assert.ok(images >= 20);
});
