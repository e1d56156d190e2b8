// Removals through a proxy that breaks a fifth of all requests: all that was to go is gone, nothing of others is, and at no
// time there is an object without its row. `make chaos` does the same at length, see long.mjs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startEmbedded } from "../support/embedded.mjs";
import { runRemovals } from "./removals.mjs";
import { drawnKinds } from "./syncs.mjs";

const COUNT = 50;
let supabase;

before(async () => {
  supabase = await startEmbedded();
});
after(() => supabase?.close());

test(`${COUNT} removals at a rate of 20 % leave nothing, and at no time an object without its row`, async () => {
  const kinds = drawnKinds(await runRemovals(supabase, COUNT));
  assert.ok(kinds.length >= 8, `only ${kinds} happened`);
});
