// Removals through a proxy that breaks a fifth of all requests, and what is left of them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRelay, createSink } from "imagen-cloud";
import { startWorker } from "../../www/local/worker.mjs";
import { startChaos } from "../support/chaos.mjs";

const KEPT = 5;
const PNG = (await readFile(new URL("../data/lighthouse.png", import.meta.url))).subarray(0, 100);
/** What a row that goes leaves behind is noted. */
const WATCH = `
  create table public.left_behind (name text);
  create function public.look() returns trigger language plpgsql security definer as $$ begin
    insert into public.left_behind select name from storage.objects where name = old.storage_path;
    return old;
  end $$;
  create trigger look after delete on imagen.images for each row execute function public.look();
`;
/** A Worker that could not ask Supabase wants to be asked again after five seconds. */
const PATIENCE = { maxRetries: 12, initialBackoffMs: 20, maxBackoffMs: 6_000 };

const sinkOf = (supabase, url, user) =>
  createSink({
    ...{ url, apiKey: supabase.publishableKey, ownerUserId: user.id, accessToken: () => user.accessToken },
    ...PATIENCE,
  });

/** Who removes what is the user's, each request to Supabase by the proxy. */
export const WAYS = {
  directly: async (supabase, chaosUrl, user) => {
    const sink = await sinkOf(supabase, chaosUrl, user);
    return { remove: sink.remove, close: sink.free };
  },
  "by the Worker": async (supabase, chaosUrl, user) => {
    const bindings = {
      SUPABASE_URL: chaosUrl,
      SUPABASE_SERVICE_KEY: supabase.serviceKey,
      SUPABASE_JWT_SECRET: supabase.jwtSecret,
      SYNC_BACKOFF_MS: "20",
    };
    const worker = await startWorker({ bindings, log() {}, rateLimit: { limit: 1_000_000, period: 60 } });
    const relay = await createRelay({ url: worker.url, accessToken: () => user.accessToken, ...PATIENCE });
    const close = async () => {
      relay.free();
      await worker.close();
    };
    return { remove: relay.remove, close };
  },
};

/**
 * Removes `count` images of many, several at once; fails where anything is left, or gone that was to stay. The database itself
 * looks at each row that goes whether its object has gone before.
 *
 * @param {Awaited<ReturnType<import("../support/embedded.mjs").startEmbedded>>} supabase of its own
 * @param {number} count
 * @param {keyof typeof WAYS} way
 * @param {Partial<Parameters<typeof startChaos>[0]>} [faults] which requests are broken, and how
 * @returns {Promise<Record<string, number>>} the faults that happened
 */
export async function runRemovals(supabase, count, way, faults = { seed: 6 }) {
  await supabase.script(WATCH);
  const [owner, other] = [await supabase.createUser(), await supabase.createUser()];
  const request = (seed) => ({ date: "2026-05-11", slug: "a", seed, prompt: "p", backend: "b", image: PNG });
  const send = async (user, count) => {
    const sink = await sinkOf(supabase, supabase.url, user);
    const requests = Array.from({ length: count }, (_, seed) => request(seed));
    return sink.syncMany(requests, { concurrency: 16 }).finally(sink.free);
  };
  const [sent, theirs] = [await send(owner, count + KEPT), await send(other, KEPT)];
  assert.ok([...sent, ...theirs].every(({ ok }) => ok));

  const chaos = await startChaos({
    target: supabase.url,
    blackoutMs: 50,
    delayMs: 20,
    retryAfterSeconds: 0,
    ...faults,
  });
  try {
    const remover = await WAYS[way](supabase, chaos.url, owner);
    const outcomes = await remover.remove(sent.slice(KEPT), { concurrency: 16 }).finally(remover.close);
    assert.deepEqual(
      outcomes.filter(({ ok }) => !ok).map(({ error }) => error.message),
      [],
    );
  } finally {
    await chaos.close();
  }
  const kept = [...sent.slice(0, KEPT), ...theirs].map(({ storagePath }) => storagePath).sort();
  const names = async (query) => (await supabase.sql(query)).map(({ name }) => name).sort();
  assert.deepEqual(await names("select name from storage.objects"), kept);
  assert.deepEqual(await names("select storage_path as name from imagen.images"), kept);
  assert.deepEqual(await names("select name from public.left_behind"), []);
  return chaos.stats.faults;
}
