// What the tests of many images in one call have in common: a hundred requests, and a look at what is there afterwards.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before } from "node:test";
import { createSink } from "imagen-cloud";
import { startEmbedded } from "./embedded.mjs";
import { startRecorder } from "./recorder.mjs";
import { sha256, verify } from "./verify.mjs";

export const COUNT = 100;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

export let supabase;
export let recorder;

/** Starts both before the tests of a file, and ends them afterwards. */
export function setUp() {
  before(async () => {
    supabase = await startEmbedded();
    recorder = await startRecorder({ target: supabase.url });
  });
  after(async () => {
    await recorder?.close();
    await supabase?.close();
  });
}

/** Whose token goes along: under row-level security, and past it. */
export const MODES = {
  "row-level security": (user) => ({ apiKey: supabase.publishableKey, accessToken: () => user.accessToken }),
  "the service key": () => ({ apiKey: supabase.serviceKey }),
};

/** A new user, a sink for their images, and what the proxy sees of it. */
export async function start(t, mode, { url = recorder.url, user: given, ...options } = {}) {
  const user = given ?? (await supabase.createUser());
  recorder.requests.length = 0;
  const sink = await createSink({
    url,
    ownerUserId: user.id,
    pathPrefix: user.id,
    initialBackoffMs: 5,
    maxBackoffMs: 500,
    ...MODES[mode](user),
    ...options,
  });
  t.after(() => sink.free());
  return { user, sink };
}

/** Each image has bytes of its own, so that a mix-up shows. */
const imageOf = (number) => Buffer.concat([PNG, Buffer.from(`image ${number}`)]);

export const requestOf = (number, fields) => ({
  date: "2026-05-11",
  slug: "lighthouse",
  seed: number,
  prompt: `p${number}`,
  backend: "b",
  image: imageOf(number),
  ...fields,
});

/** `COUNT` requests; `fields(number)` changes some of them. */
export const requests = (fields = () => ({})) =>
  Array.from({ length: COUNT }, (_, number) => requestOf(number, fields(number)));

export const inserts = () =>
  recorder.requests.filter(({ method, target }) => method === "POST" && target.includes("/rest/"));

/** What is there, compared with what the outcomes say. */
export function check(user, outcomes) {
  const beliefs = outcomes.map((outcome, number) => ({
    storagePath: outcome.storagePath ?? outcome.error?.storagePath,
    imageId: outcome.imageId ?? outcome.error?.imageId,
    sha256: sha256(imageOf(number)),
    ok: outcome.ok,
  }));
  return verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: `${user.id}/` });
}

/** Every acknowledged image is at its own place in the list. */
export function assertInOrder(user, outcomes) {
  for (const [number, { ok, storagePath }] of outcomes.entries()) {
    if (ok) assert.equal(storagePath, `${user.id}/2026-05-11/lighthouse-${number}.png`);
  }
}

export const uuid = (text) => {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
};
