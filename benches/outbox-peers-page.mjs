// Workbox's queue and Uppy's golden retriever in a page: what one more image costs them beside few and beside many, and how soon
// they have them back.
import { BUCKET, fakePng, keys, pathOf } from "./contenders.mjs";

const PEERS = "/outbox-peers.js";
/** Images that are only there. */
const FILLER_BYTES = 1000;
const MANY_AT_ONCE = 500;

export default async function run({ peer, few, many, size, rounds }) {
  const { keep, back } = await { workbox, uppy }[peer]();
  const image = (size, seed) => ({ seed, blob: new Blob([fakePng(size, seed + 1)], { type: "image/png" }) });
  const fill = async (from, to) => {
    for (let at = from; at < to; at += MANY_AT_ONCE) {
      await keep(
        Array.from({ length: Math.min(MANY_AT_ONCE, to - at) }, (_, index) => image(FILLER_BYTES, at + index)),
      );
    }
  };
  const timed = async (from) => {
    const samples = [];
    for (let round = 0; round < rounds; round++) {
      const one = [image(size, from + round)];
      const start = performance.now();
      await keep(one);
      samples.push(performance.now() - start);
    }
    return samples;
  };
  await fill(0, few);
  const samples = { few: await timed(1e6) };
  await fill(few + rounds, many);
  samples.many = await timed(2e6);
  return { ...samples, backMs: await back() };
}

async function workbox() {
  const { Queue } = await import(PEERS);
  // A page has none, and so no Background Sync: the queue is asked by hand.
  self.registration = {};
  const queue = new Queue("images", { onSync: () => undefined });
  const request = ({ seed, blob }) =>
    new Request(`/storage/v1/object/${BUCKET}/${pathOf(seed)}`, { method: "PUT", headers: keys, body: blob });
  return {
    keep: (images) => Promise.all(images.map((image) => queue.pushRequest({ request: request(image) }))),
    /** To the first request, which fails, so that no other is sent. */
    async back() {
      const { fetch } = globalThis;
      let askedMs;
      globalThis.fetch = async () => {
        askedMs ??= performance.now() - start;
        throw new Error("offline");
      };
      const start = performance.now();
      await queue.replayRequests().catch(() => undefined);
      globalThis.fetch = fetch;
      return askedMs;
    },
  };
}

async function uppy() {
  const { Uppy, GoldenRetriever } = await import(PEERS);
  const awaited = new Map();
  const said = (text) => {
    awaited.get(text)?.();
    awaited.delete(text);
  };
  const logger = { debug: said, warn: said, error: said };
  const open = () => new Uppy({ id: "images", logger }).use(GoldenRetriever);
  const opened = open();
  return {
    async keep(images) {
      const kept = new Promise((resolve) => {
        awaited.set(`[GoldenRetriever] Added ${images.length} blobs`, resolve);
      });
      opened.addFiles(images.map(({ seed, blob }) => ({ name: `${seed}.png`, type: blob.type, data: blob })));
      await kept;
    },
    /** To all files, with their bytes: it sends none before its user has said so. */
    async back() {
      await new Promise((resolve) => setTimeout(resolve, 2000)); // for what it writes twice a second
      const start = performance.now();
      return new Promise((resolve) => {
        open().on("restored", () => resolve(performance.now() - start));
      });
    },
  };
}
