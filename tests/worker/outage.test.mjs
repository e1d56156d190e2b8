// Supabase goes away and comes back while images keep coming. The waits are configured, the time is real.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { fields, file, pngOf, startBench } from "./support.mjs";

const IMAGES = 200;
const AT_ONCE = 8;

let bench;
before(async () => {
  bench = await startBench({
    SYNC_BACKOFF_MS: "10",
    SYNC_DEADLINE_MS: "2000",
    RETRY_DELAY_SECONDS: "1",
    STAGED_STALE_SECONDS: "1",
  });
});
after(() => bench?.close());

test("200 images through an outage are all 201 or 202, and all arrive, once", async (t) => {
  const users = [await bench.supabase.createUser(), await bench.supabase.createUser()];
  const bucket = await bench.worker.staged();
  const beliefs = [];
  let next = 0;
  async function post() {
    for (let seed = next++; seed < IMAGES; seed = next++) {
      // Down for the middle half, with a short return in between; silent for its last part.
      bench.front.down = (seed >= 50 && seed < 90) || (seed >= 100 && seed < 140);
      bench.front.hangs = seed >= 140 && seed < 150;
      const { id, accessToken } = users[seed % users.length];
      const bytes = pngOf(2_000 + seed);
      const request = fields({ slug: "outage", seed, imageId: crypto.randomUUID() });
      const answer = await bench.post(accessToken, { request, image: file(bytes) });
      const { storagePath, imageId, queued = false } = await answer.json();
      assert.equal(answer.status, queued ? 202 : 201);
      assert.deepEqual(
        { storagePath, imageId },
        { storagePath: `${id}/2026-05-11/outage-${seed}.png`, imageId: request.imageId },
      );
      beliefs.push({ storagePath, imageId, sha256: sha256(bytes), ok: true, queued });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, post));
  const staged = beliefs.filter(({ queued }) => queued).length;
  assert.ok(staged > 50 && staged < IMAGES, `${staged} were staged`);

  const started = performance.now();
  // The trigger's repeats have to be harmless.
  const isDelivered = async () => {
    await bench.worker.runCron();
    await new Promise((resolve) => setTimeout(resolve, 500));
    return (await bucket.list({ prefix: "staged/" })).objects.length === 0;
  };
  await until(isDelivered, "all to be delivered", 120_000);
  t.diagnostic(`${staged} of ${IMAGES} staged, delivered ${((performance.now() - started) / 1000).toFixed(1)} s after`);

  const report = await verify({ url: bench.supabase.url, serviceKey: bench.supabase.serviceKey, beliefs });
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.rows, report.objects], [IMAGES, IMAGES]);
  assert.deepEqual((await bucket.list()).objects, []);
});
