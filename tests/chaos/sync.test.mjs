// Syncs through a proxy that breaks a fifth of all requests: all are acknowledged, and nothing is lost or there twice.
// `make chaos` does the same at length, see long.mjs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startEmbedded } from "../support/embedded.mjs";
import { drawnKinds, MODES, runSyncs } from "./syncs.mjs";

const COUNT = 40;
let supabase;

before(async () => {
  supabase = await startEmbedded();
});
after(() => supabase?.close());

for (const [seed, mode] of Object.keys(MODES).entries()) {
  test(`${COUNT} syncs (${mode}) at a rate of 20 %: each arrives once`, async () => {
    const chaos = { blackoutMs: 50, retryAfterSeconds: 0 };
    const { refused, report, faults } = await runSyncs({ supabase, mode, seed, count: COUNT, chaos });
    assert.deepEqual(refused, []);
    assert.deepEqual(report.problems, []);
    assert.deepEqual([report.rows, report.objects], [COUNT, COUNT]);
    const kinds = drawnKinds(faults);
    assert.ok(kinds.length >= 8, `only ${kinds} happened`);
  });
}
