// Images into Storage and their rows: ours, by hand, and with Supabase's clients. Runs in Node and in a page alike.
const KEY = "bench-key";
export const keys = { apikey: KEY, Authorization: `Bearer ${KEY}` };
const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";
export const BUCKET = "imagen-generated";
const DATE = "2026-05-11";
const SLUG = "lighthouse";
export const SEED = 42;
export const pathOf = (seed) => `${DATE}/${SLUG}-${seed}.png`;
const TIMEOUT_MS = 30_000;
const PROMPT = "a lighthouse in a storm, oil on canvas";

/** Starts as a PNG of 1024 × 1024 pixels does; the rest is noise, as far as a compressor is concerned. */
export function fakePng(size, start = 1) {
  const bytes = new Uint8Array(size);
  let noise = start;
  for (let i = 0; i < size; i++) {
    noise = (Math.imul(noise, 1664525) + 1013904223) >>> 0;
    bytes[i] = noise >>> 24;
  }
  bytes.set([
    0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52, 0, 0, 4, 0, 0, 0, 4, 0, 8, 2,
  ]);
  return bytes;
}

const PIECES = 100;

/** The same as a Blob, piece by piece, so that a page never holds all of the bytes itself. */
export async function fakeBlob(size) {
  let blob = new Blob([]);
  for (let i = 1; i <= PIECES; i++) blob = new Blob([blob, fakePng(size / PIECES, i)], { type: "image/png" });
  await new Promise((resolve) => setTimeout(resolve, 1500)); // for the pieces to be handed over and collected
  return blob;
}

/** What sends: `modules` holds what it is made with, and maybe a `fetch` for all of it. */
export async function connect(url, { createSink, StorageClient, PostgrestClient, createClient, fetch }, options) {
  return {
    sink: await createSink({ ...sinkOptions(url), fetch, ...options }),
    storage: new StorageClient(`${url}/storage/v1`, keys, fetch),
    rest: new PostgrestClient(`${url}/rest/v1`, { headers: keys, schema: "imagen", fetch }),
    supabase: supabaseClient(createClient, url, fetch),
  };
}

export const sinkOptions = (url) => ({ url, apiKey: KEY, ownerUserId: OWNER });

export const supabaseClient = (createClient, url, fetch) =>
  createClient(url, KEY, {
    db: { schema: "imagen" },
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { fetch },
  });

/** Functions that sync `image` once, by contender. */
export async function contenders(url, image, modules) {
  const { sink, storage, rest, supabase } = await connect(url, modules);
  const by = (sink) => async () => {
    const { storagePath } = await sink.sync(requestOf(image));
    if (storagePath !== pathOf(SEED)) throw new Error(`ours: ${storagePath}`);
  };
  const { createSinkBefore } = modules;
  return {
    ours: by(sink),
    ...(createSinkBefore && { "ours before": by(await createSinkBefore(sinkOptions(url))) }),
    "two raw fetches": () => byHand(url, image),
    "the same with care": async () => byHand(url, await withHead(image), { send: limited }),
    "storage-js + postgrest-js": () => byClients(storage, rest, image),
    "supabase-js": () => byClients(supabase.storage, supabase, image),
  };
}

/** The image as a request to ours. */
export const requestOf = (image, seed = SEED) => ({
  date: DATE,
  slug: SLUG,
  seed,
  image,
  prompt: PROMPT,
  backend: "bench",
  model: "none",
  steps: 30,
});

/**
 * The two requests that ours sends, with nothing around them; or with what a careful caller adds: the image's head is
 * looked at, a view is copied (its owner may reuse it), and each request has a time limit and can be aborted.
 */
export async function byHand(url, image, { seed = SEED, send = fetch } = {}) {
  const stored = await send(`${url}/storage/v1/object/${BUCKET}/${pathOf(seed)}`, {
    method: "PUT",
    headers: { "Content-Type": "image/png", "x-upsert": "true", ...keys },
    body: image,
  });
  if (!stored.ok || !(await stored.json()).Key) throw new Error(`raw upload: ${stored.status}`);
  await insertByHand(url, { seed, send });
}

/** The row alone. */
export async function insertByHand(url, { seed = SEED, send = fetch } = {}) {
  const inserted = await send(`${url}/rest/v1/images`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Accept-Profile": "imagen",
      "Content-Profile": "imagen",
      Prefer: "return=representation",
      ...keys,
    },
    body: JSON.stringify(row(seed)),
  });
  if (!inserted.ok || !(await inserted.json())[0].id) throw new Error(`raw insert: ${inserted.status}`);
}

async function withHead(image) {
  const isBlob = image instanceof Blob;
  const head = isBlob ? new Uint8Array(await image.slice(0, 4096).arrayBuffer()) : image.subarray(0, 4096);
  if (head[0] !== 0x89) throw new Error("no PNG");
  return isBlob ? image : image.slice();
}

async function limited(url, options) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    return await fetch(url, { ...options, signal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}

export async function byClients(storage, rest, image, seed = SEED) {
  const options = { contentType: "image/png", upsert: true };
  const stored = await storage.from(BUCKET).upload(pathOf(seed), image, options);
  if (stored.error) throw stored.error;
  const inserted = await rest.from("images").insert(row(seed)).select().single();
  if (inserted.error) throw inserted.error;
}

const row = (seed) => ({
  id: crypto.randomUUID(),
  owner_user_id: OWNER,
  storage_path: pathOf(seed),
  prompt: PROMPT,
  prompt_hash: "8b0d6fdd6b3f0b1e1a1b7c9d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f",
  seed,
  backend: "bench",
  model: "none",
  steps: 30,
  width: 1024,
  height: 1024,
});
