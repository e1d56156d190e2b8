// Removals through a proxy that breaks a fifth of all requests, and what is left of them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createSink } from "imagen-cloud";
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
/**
 * Removes `count` images of many, several at once; fails where anything is left, or gone that was to stay. The database itself
 * looks at each row that goes whether its object has gone before.
 *
 * @param {Awaited<ReturnType<import("../support/embedded.mjs").startEmbedded>>} supabase
 * @param {number} count
 * @returns {Promise<Record<string, number>>} the faults that happened
 */
export async function runRemovals(supabase, count) {
  await supabase.script(WATCH);
  const [owner, other] = [await supabase.createUser(), await supabase.createUser()];
  const sinkOf = (user, options) =>
    createSink({
      ...{ url: supabase.url, apiKey: supabase.publishableKey, ownerUserId: user.id },
      ...{ accessToken: () => user.accessToken, maxRetries: 12, initialBackoffMs: 20, maxBackoffMs: 500, ...options },
    });
  const request = (seed) => ({ date: "2026-05-11", slug: "a", seed, prompt: "p", backend: "b", image: PNG });
  const requests = (count) => Array.from({ length: count }, (_, seed) => request(seed));
  const sent = await (await sinkOf(owner)).syncMany(requests(count + KEPT), { concurrency: 16 });
  const theirs = await (await sinkOf(other)).syncMany(requests(KEPT));
  assert.ok([...sent, ...theirs].every(({ ok }) => ok));

  const chaos = await startChaos({ target: supabase.url, seed: 6, blackoutMs: 50, delayMs: 20, retryAfterSeconds: 0 });
  try {
    const sink = await sinkOf(owner, { url: chaos.url });
    const outcomes = await sink.remove(sent.slice(KEPT), { concurrency: 16 });
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
