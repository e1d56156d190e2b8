// The outbox part in a page.
import { fakePng, requestOf, sinkOptions } from "./contenders.mjs";
import { shuffled } from "./support.mjs";

const ENTRY = "/pkg/outbox-browser.js";
const GLUE = "/pkg/wasm/imagen_cloud_outbox.js";
/** Images of the jobs that are only there. */
const FILLER_BYTES = 1000;
const PAGE = 50;
const MANY_AT_ONCE = 500;
const WARM_UP = 5;

const load = () => import(ENTRY);
const png = (size, start) => new Blob([fakePng(size, start)], { type: "image/png" });
const numbers = (count, from = 0) => Array.from({ length: count }, (_, index) => from + index);

/** What it costs to have many jobs: `few` and `many`, with images of `size`. */
export default function run({ task, ...plan }) {
  return { size: sizes, drain: drains, lanes: drains }[task](plan);
}

async function open(url, options, sink = {}) {
  const { createOutbox, createSink } = await load();
  return createOutbox(await createSink({ ...sinkOptions(url), ...sink }), {
    maxJobs: 100_000,
    maxBytes: 8e9,
    automatic: false,
    ...options,
  });
}

/** Does `work` with these in the place of the page's own IndexedDB and caches. */
async function storedIn({ indexedDB, caches }, work) {
  const own = Object.getOwnPropertyDescriptors(globalThis);
  for (const [name, value] of Object.entries({ indexedDB, caches })) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
  try {
    return await work();
  } finally {
    for (const name of ["indexedDB", "caches"]) Object.defineProperty(globalThis, name, own[name]);
  }
}

async function fill(outbox, from, to, size) {
  for (let at = from; at < to; at += MANY_AT_ONCE) {
    const some = numbers(Math.min(MANY_AT_ONCE, to - at), at);
    const outcomes = await outbox.enqueueMany(some.map((seed) => requestOf(png(size, seed + 1), seed)));
    const failed = outcomes.find(({ ok }) => !ok);
    if (failed) throw failed.error;
  }
}

async function sizes({ url, few, many, size, rounds }) {
  const sides = { few: await side(url, "few", few), many: await side(url, "many", many) };
  // The browser goes on putting so many files in order.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const samples = await timed(Object.values(sides), { rounds, size });
  for (const { outbox } of Object.values(sides)) await outbox.close();
  const { bucket, sink } = sides.many;
  return storedIn(bucket, async () => ({ ...samples, ...(await opened(url, sink)), ...(await drainedAll(url, sink)) }));
}

/** An outbox with `count` jobs, and what else is timed beside it, in a storage of its own: its files are nobody else's. */
async function side(url, name, count) {
  const bucket = await navigator.storageBuckets.open(name);
  const sink = { ownerUserId: crypto.randomUUID() };
  return storedIn(bucket, async () => {
    const first = await open(url, {}, sink);
    await fill(first, 0, 1, FILLER_BYTES);
    await first.close();
    const { seedJobs } = await import("/tests/support/seeded.mjs");
    await seedJobs({ name: `imagen-cloud-outbox-${sink.ownerUserId}`, count: count - 1 });
    return { name, bucket, sink, outbox: await open(url, {}, sink), write: await bareWrite() };
  });
}

/** Enqueues with and without a second copy, the bare write of the same bytes, and lists: in turn, each with a Blob of its own. */
async function timed(sides, { rounds, size }) {
  const samples = {};
  const calls = sides.flatMap(({ name, bucket, outbox, write }) => {
    const single = { indexedDB: bucket.indexedDB };
    const of = {
      enqueue: [bucket, (request) => outbox.enqueue(request)],
      single: [single, (request) => outbox.enqueue(request)],
      bare: [bucket, async ({ image, ...record }) => write(record.seed, record, await image.arrayBuffer())],
      list: [bucket, () => outbox.list({ limit: PAGE })],
    };
    samples[name] = Object.fromEntries(Object.keys(of).map((call) => [call, []]));
    return Object.entries(of).map(([call, [stores, work]]) => ({ list: samples[name][call], stores, work }));
  });
  let seed = 1e6;
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const { list, stores, work } of shuffled(calls)) {
      const request = requestOf(png(size, ++seed), seed);
      const ms = await storedIn(stores, async () => {
        const start = performance.now();
        await work(request);
        return performance.now() - start;
      });
      if (round >= 0) list.push(ms);
    }
  }
  return samples;
}

/** What anybody would write to keep an image: record and bytes, by a transaction with strict durability. */
export async function bareWrite() {
  const opening = indexedDB.open("bare", 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore("records");
    opening.result.createObjectStore("images");
  };
  const database = await new Promise((resolve, reject) => {
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  return (key, record, bytes) => {
    const transaction = database.transaction(["records", "images"], "readwrite", { durability: "strict" });
    transaction.objectStore("records").put(JSON.stringify(record), key);
    transaction.objectStore("images").put(bytes, key);
    return new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  };
}

/** From the opening of what is there to its first request. */
async function opened(url, sink) {
  const start = performance.now();
  let outbox;
  const first = new Promise((resolve) => {
    const send = (...args) => {
      resolve(performance.now() - start);
      return fetch(...args);
    };
    outbox = open(url, { automatic: true }, { ...sink, fetch: send });
  });
  const openedMs = await first;
  const opened = await outbox;
  await opened.pause();
  await opened.close();
  return { openedMs };
}

/** Drains all that is there, and what that costs the page. */
async function drainedAll(url, sink) {
  const { memory } = await (await import(GLUE)).default();
  const outbox = await open(url, {}, sink);
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries())).observe({
    type: "longtask",
  });
  await outbox.resume();
  const before = await heapBytes();
  const start = performance.now();
  const { done, failed, waiting } = await outbox.drain();
  const drainedMs = performance.now() - start;
  if (failed + waiting > 0) throw new Error(`${done} done, ${failed} failed, ${waiting} waiting`);
  return {
    drained: done,
    drainedMs,
    longestMs: Math.max(
      0,
      ...tasks
        .filter(({ startTime }) => startTime >= start && startTime <= start + drainedMs)
        .map(({ duration }) => duration),
    ),
    wasmBytes: memory.buffer.byteLength,
    heapBytes: (await heapBytes()) - before,
  };
}

const heapBytes = async () => (await performance.measureUserAgentSpecificMemory()).bytes;

/** Drains of `count` images, and one `syncMany` of as many with the same lanes where `compare` says so. */
async function drains({ url, count, size, concurrency, compare, rounds }) {
  const { createSink } = await load();
  const samples = { outbox: [], syncMany: [], inserts: [] };
  const requests = numbers(count).map((seed) => requestOf(png(size, seed + 1), seed));
  for (let round = 0; round < rounds; round++) {
    let inserts = 0;
    const onEvent = ({ type, stage }) => {
      if (type === "request" && stage === "insert") inserts += 1;
    };
    const outbox = await open(url, { concurrency }, { onEvent });
    await fill(outbox, 0, count, size);
    const start = performance.now();
    const { done } = await outbox.drain();
    samples.outbox.push(performance.now() - start);
    samples.inserts.push(inserts);
    if (done !== count) throw new Error(`${done} of ${count}`);
    await outbox.close();
    if (!compare) continue;
    const sink = await createSink(sinkOptions(url));
    const began = performance.now();
    const outcomes = await sink.syncMany(requests, { concurrency });
    samples.syncMany.push(performance.now() - began);
    const failed = outcomes.find(({ ok }) => !ok);
    if (failed) throw failed.error;
  }
  return samples;
}
