// Many syncs through a proxy that breaks a part of all requests, and what is left of them.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSink } from "imagen-cloud";
import { FAULTS, startChaos } from "../support/chaos.mjs";
import { sha256, verify } from "../support/verify.mjs";

const WORKERS = 16;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

/** Who syncs: the options of a sink for an embedded Supabase and one of its users. */
export const MODES = {
  "service key": (supabase) => ({ apiKey: supabase.serviceKey }),
  "signed-in user": (supabase, user) => ({
    apiKey: supabase.publishableKey,
    accessToken: () => user.accessToken,
  }),
};

/**
 * Syncs `count` images, several at once, and compares what was acknowledged with what is there.
 *
 * @param {object} options
 * @param {Awaited<ReturnType<import("../support/embedded.mjs").startEmbedded>>} options.supabase
 * @param {keyof typeof MODES} options.mode
 * @param {number} options.seed
 * @param {number} options.count
 * @param {number} [options.rate]
 * @param {number} [options.firstWaitMs]
 * @param {Partial<Parameters<typeof startChaos>[0]>} [options.chaos]
 * @returns {Promise<{ acknowledged: number, refused: string[], report: Awaited<ReturnType<typeof verify>>,
 *   faults: Record<string, number>, seconds: number }>}
 */
export async function runSyncs({
  supabase,
  mode,
  seed,
  count,
  rate = 0.2,
  firstWaitMs = 20,
  chaos: chaosOptions = {},
}) {
  const started = performance.now();
  const owner = await supabase.createUser();
  const chaos = await startChaos({
    target: supabase.url,
    seed,
    rate,
    ignore: [owner.id],
    delayMs: 20,
    ...chaosOptions,
  });
  try {
    const sink = await createSink({
      url: chaos.url,
      ownerUserId: owner.id,
      pathPrefix: owner.id,
      maxRetries: 8,
      initialBackoffMs: firstWaitMs,
      maxBackoffMs: 1000,
      ...MODES[mode](supabase, owner),
    });
    const numbers = Array.from({ length: count }, (_, number) => number);
    const beliefs = [];
    const work = async () => {
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        beliefs.push(await syncOne(sink, `${mode} ${seed} ${number}`, number));
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, work));
    sink.free();
    const refused = beliefs.filter(({ ok }) => !ok);
    return {
      acknowledged: count - refused.length,
      refused: refused.map(({ error }) => error.message),
      report: await verify({
        url: supabase.url,
        serviceKey: supabase.serviceKey,
        beliefs,
        prefix: `${owner.id}/`,
      }),
      faults: chaos.stats.faults,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await chaos.close();
  }
}

/** The kinds of fault that were drawn, without the requests that a blackout took along. */
export const drawnKinds = (faults) => Object.keys(faults).filter((kind) => FAULTS.includes(kind));

/** Each image has bytes of its own, so that a mix-up shows. */
async function syncOne(sink, name, number) {
  const image = Buffer.concat([PNG, Buffer.from(`image ${number}`)]);
  const imageId = uuid(name);
  const request = { date: "2026-05-11", slug: "lighthouse", seed: number, prompt: `p${number}`, backend: "b" };
  const belief = { imageId, sha256: sha256(image) };
  try {
    return { ...belief, ...(await sink.sync({ ...request, image, imageId })), ok: true };
  } catch (error) {
    return { ...belief, storagePath: error.storagePath, ok: false, error };
  }
}

/** Always the same one, so that a seed meets the same requests. */
function uuid(text) {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
