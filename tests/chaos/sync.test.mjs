// Syncs through a proxy that breaks a fifth of all requests: all are acknowledged, and nothing is lost or there twice.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { FAULTS, startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { sha256, verify } from "../support/verify.mjs";

const COUNT = 60;
const WORKERS = 10;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
let supabase;
let owner;

before(async () => {
  supabase = await startEmbedded();
  owner = await supabase.createUser();
});
after(() => supabase?.close());

const WHO = {
  "with the service key": () => ({ apiKey: supabase.serviceKey }),
  "as a signed-in user": () => ({ apiKey: supabase.publishableKey, accessToken: () => owner.accessToken }),
};

for (const [index, [who, credentials]] of Object.entries(WHO).entries()) {
  for (const seed of [1, 2]) {
    test(`${COUNT} syncs ${who} at a rate of 20 %, seed ${seed}: each arrives once`, async (t) => {
      const chaos = await startChaos({
        target: supabase.url,
        seed,
        ignore: [owner.id],
        delayMs: 20,
        blackoutMs: 50,
        retryAfterSeconds: 0,
      });
      t.after(() => chaos.close());
      const folder = `2026-0${index + 1}-0${seed}`;
      const options = { url: chaos.url, ownerUserId: owner.id, pathPrefix: owner.id, ...credentials() };
      const sink = await createSink({ ...options, maxRetries: 8, initialBackoffMs: 20, maxBackoffMs: 500 });
      const beliefs = [];
      const jobs = Array.from({ length: COUNT }, (_, number) => number);
      const work = async () => {
        for (let number = jobs.shift(); number !== undefined; number = jobs.shift()) {
          beliefs.push(await syncOne(sink, folder, number));
        }
      };
      await Promise.all(Array.from({ length: WORKERS }, work));
      sink.free();

      const refused = beliefs.filter(({ ok }) => !ok).map(({ error }) => error.message);
      assert.deepEqual(refused, []);
      const prefix = `${owner.id}/${folder}/`;
      const report = await verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix });
      assert.deepEqual(report.problems, []);
      assert.deepEqual([report.rows, report.objects], [COUNT, COUNT]);
      const kinds = Object.keys(chaos.stats.faults).filter((kind) => FAULTS.includes(kind));
      assert.ok(kinds.length >= 8, `only ${kinds} happened`);
    });
  }
}

/** Each image has bytes of its own, so that a mix-up shows. */
async function syncOne(sink, date, number) {
  const image = Buffer.concat([PNG, Buffer.from(`image ${number}`)]);
  const imageId = uuid(`${date} ${number}`);
  const request = { date, slug: "lighthouse", seed: number, image, prompt: `p${number}`, backend: "b", imageId };
  const belief = { imageId, sha256: sha256(image) };
  try {
    return { ...belief, ...(await sink.sync(request)), ok: true };
  } catch (error) {
    return { ...belief, storagePath: error.storagePath, ok: false, error };
  }
}

/** Always the same one, so that a seed meets the same requests. */
function uuid(text) {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
