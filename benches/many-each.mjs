// The many part's measurement, the same in Node and in a page.
import { byClients, byHand, connect, fakePng, requestOf } from "./contenders.mjs";
import { interleave } from "./support.mjs";

/** A call of each contender sends all images, as Blobs or as bytes. */
export async function timeMany({ url, count, size, asBlobs, ours, peers, rounds }, modules) {
  const images = Array.from({ length: count }, (_, index) => {
    const bytes = fakePng(size, index + 1);
    return asBlobs ? new Blob([bytes], { type: "image/png" }) : bytes;
  });
  const { sink, storage, rest, supabase } = await connect(url, modules);
  const requests = images.map((image, seed) => requestOf(image, seed));
  const rawly = (image, seed) => byHand(url, image, { seed, send: modules.fetch });
  const calls = {};
  for (const at of ours) {
    calls[`ours, ${at} at once`] = async () => {
      const outcomes = await sink.syncMany(requests, { concurrency: at });
      const failed = outcomes.find(({ ok }) => !ok);
      if (failed) throw failed.error;
    };
  }
  for (const at of peers) {
    calls[`raw fetches, ${at} at once`] = () => pool(at, images, rawly);
    calls[`storage-js + postgrest-js, ${at} at once`] = () =>
      pool(at, images, (image, seed) => byClients(storage, rest, image, seed));
    calls[`supabase-js, ${at} at once`] = () =>
      pool(at, images, (image, seed) => byClients(supabase.storage, supabase, image, seed));
  }
  await interleave(calls, { warmUp: 1, rounds: 0, batch: 1 });
  calls["one after another"] = () => pool(1, images, rawly);
  return interleave(calls, { warmUp: 0, rounds, batch: 1 });
}

/** Calls `run(item, index)` for all items, so many at once. */
async function pool(at, items, run) {
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) await run(item, index);
  };
  await Promise.all(Array.from({ length: at }, worker));
}
