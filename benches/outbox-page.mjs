// The outbox part in a page.
import { fakePng, requestOf, sinkOptions } from "./contenders.mjs";

const ENTRY = "/pkg/outbox-browser.js";
const GLUE = "/pkg/wasm/imagen_cloud_outbox.js";
/** Images of the jobs that are only there. */
const FILLER_BYTES = 1000;
const PAGE = 50;
const MANY_AT_ONCE = 500;

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

async function fill(outbox, from, to, size) {
  for (let at = from; at < to; at += MANY_AT_ONCE) {
    const some = numbers(Math.min(MANY_AT_ONCE, to - at), at);
    const outcomes = await outbox.enqueueMany(some.map((seed) => requestOf(png(size, seed + 1), seed)));
    const failed = outcomes.find(({ ok }) => !ok);
    if (failed) throw failed.error;
  }
}

async function sizes({ url, few, many, size, rounds }) {
  let outbox = await open(url);
  const write = await bareWrite();
  await fill(outbox, 0, few, FILLER_BYTES);
  const samples = { few: await timed(outbox, write, { rounds, size, from: 1e6 }) };
  await outbox.close();
  const { seedJobs } = await import("/tests/support/seeded.mjs");
  await seedJobs({ name: `imagen-cloud-outbox-${sinkOptions(url).ownerUserId}`, count: many - few - 2 * rounds });
  // The browser goes on putting so many files in order.
  await new Promise((resolve) => setTimeout(resolve, 5000));
  outbox = await open(url);
  samples.many = await timed(outbox, write, { rounds, size, from: 2e6 });
  await outbox.close();
  return { ...samples, ...(await opened(url)), ...(await drainedAll(url)) };
}

/** Enqueues with and without a second copy, and lists, in turn with the bare write of the same bytes. */
async function timed(outbox, write, { rounds, size, from }) {
  const samples = { enqueue: [], single: [], bare: [], list: [] };
  const clock = async (name, work) => {
    const start = performance.now();
    await work();
    samples[name].push(performance.now() - start);
  };
  for (let round = 0; round < rounds; round++) {
    const image = png(size, round + 1);
    const request = requestOf(image, from + round);
    await clock("enqueue", () => outbox.enqueue(request));
    const other = requestOf(image, from + rounds + round);
    await withoutCaches(() => clock("single", () => outbox.enqueue(other)));
    await clock("bare", async () => write(from + round, { ...request, image: undefined }, await image.arrayBuffer()));
    await clock("list", () => outbox.list({ limit: PAGE }));
  }
  return samples;
}

/** Does `work` in a page without Cache Storage, where an outbox keeps no second copy. */
async function withoutCaches(work) {
  const known = Object.getOwnPropertyDescriptor(globalThis, "caches");
  Object.defineProperty(globalThis, "caches", { value: undefined, configurable: true });
  try {
    await work();
  } finally {
    Object.defineProperty(globalThis, "caches", known);
  }
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
async function opened(url) {
  const start = performance.now();
  let outbox;
  const first = new Promise((resolve) => {
    const send = (...args) => {
      resolve(performance.now() - start);
      return fetch(...args);
    };
    outbox = open(url, { automatic: true }, { fetch: send });
  });
  const openedMs = await first;
  const opened = await outbox;
  await opened.pause();
  await opened.close();
  return { openedMs };
}

/** Drains all that is there, and what that costs the page. */
async function drainedAll(url) {
  const { memory } = await (await import(GLUE)).default();
  const outbox = await open(url);
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
