// Removals through a proxy that breaks a fifth of all requests: all that was to go is gone, nothing of others is, and at no
// time there is an object without its row. `make chaos` does the same at length, see long.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inTurn } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { runRemovals, WAYS } from "./removals.mjs";
import { drawnKinds } from "./syncs.mjs";

const COUNT = 50;

for (const way of Object.keys(WAYS)) {
  test(`${COUNT} removals ${way} at a rate of 20 % leave nothing, and at no time an object without its row`, async () => {
    const supabase = await startEmbedded();
    try {
      const kinds = drawnKinds(await runRemovals(supabase, COUNT, way, { place: inTurn(5) }));
      assert.ok(kinds.length >= 8, `only ${kinds} happened`);
    } finally {
      await supabase.close();
    }
  });
}
