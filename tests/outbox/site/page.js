// What a test does in a page: opens outboxes and calls them. Answers and errors go back as plain values.
import { createOutbox, createRelay, createSink, isImagenCloudError } from "/pkg/outbox-browser.js";

/** Open outboxes by name. */
const opened = new Map();
/** What the outboxes' listeners were told. */
const changes = [];
/** The users' tokens by the outbox's name; none: nobody is signed in. */
const tokens = new Map();

const png = fetch("/data/lighthouse.png").then((response) => response.arrayBuffer());

/** The image of that number: each has bytes of its own. */
async function image(number) {
  return new Blob([await png, `image ${number}`], { type: "image/png" });
}

async function request(number, fields) {
  const usual = { date: "2026-05-11", slug: "lighthouse", seed: number, prompt: `p${number}`, backend: "b" };
  return { ...usual, image: await image(number), ...fields };
}

const actions = {
  /** Opens an outbox, with `relay` through the Worker; `worker` is the URL of a service worker to register for it. */
  async open({ name, sink, relay, token, options, worker }) {
    tokens.set(name, token);
    const accessToken = async () => {
      const current = tokens.get(name);
      if (typeof current === "function") return current();
      if (!current) throw new Error("nobody is signed in");
      return current;
    };
    const made = relay
      ? await createRelay({ ...relay, accessToken })
      : await createSink({ ...sink, ...(token !== undefined && { accessToken }) });
    const serviceWorker = worker && (await navigator.serviceWorker.register(worker, { type: "module" }));
    if (serviceWorker) await navigator.serviceWorker.ready;
    const outbox = await createOutbox(made, { ...options, ...(serviceWorker && { serviceWorker }) });
    outbox.onChange((change) => changes.push({ outbox: name, ...change }));
    opened.set(name, outbox);
  },
  async enqueue(name, number, fields) {
    return opened.get(name).enqueue(await request(number, fields));
  },
  /** Those without a number are no requests. */
  async enqueueMany(name, numbers, fields) {
    const requests = numbers.map((number) => (number === null ? {} : request(number, fields)));
    const outcomes = await opened.get(name).enqueueMany(await Promise.all(requests));
    return outcomes.map(({ error, ...outcome }) => ({ ...outcome, ...(error && { error: error.toJSON() }) }));
  },
  async image(name, id) {
    const blob = await opened.get(name).image(id);
    return { type: blob.type, bytes: [...new Uint8Array(await blob.arrayBuffer())] };
  },
  /** Any other method of an outbox. */
  call: (name, method, ...args) => opened.get(name)[method](...args),
  signIn: (name, token) => void tokens.set(name, token),
  /** From now on a global function is asked for the token. */
  signInWith: (name, global) => void tokens.set(name, window[global]),
  changes: () => changes,
  /** Every record of every database and cache of this origin, as text. */
  async dump() {
    const databases = await indexedDB.databases();
    const dumps = [...databases.map(({ name }) => dumpDatabase(name)), ...(await caches.keys()).map(dumpCache)];
    return JSON.stringify(await Promise.all(dumps));
  },
};

/** Calls an action: `{ value }`, or `{ error }` with all its fields. */
async function run(action, ...args) {
  try {
    return { value: await actions[action](...args) };
  } catch (error) {
    const { name, message, stack } = error;
    return { error: { ...error, name, message, stack, own: isImagenCloudError(error), cause: String(error.cause) } };
  }
}

const settled = (idbRequest) =>
  new Promise((resolve, reject) => {
    idbRequest.onsuccess = () => resolve(idbRequest.result);
    idbRequest.onerror = () => reject(idbRequest.error);
  });

async function dumpDatabase(name) {
  const database = await settled(indexedDB.open(name));
  const stores = {};
  for (const store of database.objectStoreNames) {
    const all = database.transaction(store).objectStore(store);
    stores[store] = { keys: await settled(all.getAllKeys()), values: (await settled(all.getAll())).map(readable) };
  }
  database.close();
  return { name, stores };
}

async function dumpCache(name) {
  const cache = await caches.open(name);
  const entries = (await cache.keys()).map(async (request) => {
    const response = await cache.match(request);
    return [request.url, ...response.headers, readable(await response.arrayBuffer())];
  });
  return { cache: name, entries: await Promise.all(entries) };
}

/** Bytes as text, so that what is written in them is found. */
function readable(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return new TextDecoder("latin1").decode(value);
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, readable(inner)]));
}

window.kit = { run, settled, outbox: (name) => opened.get(name) };
