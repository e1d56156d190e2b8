// Whatever JavaScript an outbox is called with: a promise that settles, with what it promises or an ImagenCloudError; and the next
// image arrives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld } from "../support/outbox.mjs";

const world = outboxWorld();

/** Calls everything of the outbox "mine" with odd values, in the page; what is no ImagenCloudError comes back, by its call. */
async function strange(imageId) {
  const { createOutbox, createSink, isImagenCloudError } = await import("/pkg/outbox-browser.js");
  const outbox = window.kit.outbox("mine");
  const thrower = () => {
    throw thrower;
  };
  const hostile = new Proxy(thrower, Object.fromEntries(Reflect.ownKeys(Reflect).map((trap) => [trap, thrower])));
  const { proxy: revoked, revoke } = Proxy.revocable({}, {});
  revoke();
  const odd = {
    null: null,
    undefined: undefined,
    true: true,
    nan: Number.NaN,
    minus: -1,
    half: 0.5,
    infinity: Number.POSITIVE_INFINITY,
    big: 2n ** 70n,
    symbol: Symbol("symbol"),
    text: "x",
    empty: "",
    long: "x".repeat(200_000),
    halfPair: "\ud800",
    list: [],
    sparse: new Array(3),
    object: {},
    noPrototype: Object.create(null),
    function: () => {},
    date: new Date(Number.NaN),
    toPrimitive: { [Symbol.toPrimitive]: thrower, toString: thrower },
    getter: Object.defineProperty({}, "after", { enumerable: true, get: thrower }),
    promise: Promise.resolve(1),
    buffer: new ArrayBuffer(3),
    frame: window,
    listOfHostile: new Proxy([], { get: thrower }),
    hostile,
    revoked,
    thrower,
  };
  const usual = {
    date: "2026-05-11",
    seed: 1,
    prompt: "p",
    backend: "b",
    image: new Blob(["x"], { type: "image/png" }),
  };
  const others = [
    "slug",
    "ext",
    "mimeType",
    "model",
    "steps",
    "width",
    "sidecar",
    "columns",
    "imageId",
    "costUsdEstimate",
  ];
  const sink = await createSink({ url: "https://abcd.supabase.co", apiKey: "k", ownerUserId: crypto.randomUUID() });
  const opening = (target, options) => async () => (await createOutbox(target, options)).close();
  const calls = {};
  for (const [name, value] of Object.entries(odd)) {
    for (const method of ["enqueue", "enqueueMany", "list", "job", "image", "retry", "remove", "discard"])
      calls[`${method}(${name})`] = () => outbox[method](value);
    calls[`enqueueMany([${name}])`] = () => outbox.enqueueMany([value]);
    calls[`retry(id, ${name})`] = () => outbox.retry(imageId, value);
    if (typeof value !== "function") calls[`onChange(${name})`] = async () => outbox.onChange(value);
    for (const field of ["after", "limit"])
      calls[`list({ ${field}: ${name} })`] = () => outbox.list({ [field]: value });
    for (const field of [...Object.keys(usual), ...others]) {
      calls[`enqueue({ ${field}: ${name} })`] = () => outbox.enqueue({ ...usual, [field]: value });
      calls[`retry(id, { ${field}: ${name} })`] = () => outbox.retry(imageId, { [field]: value });
    }
    calls[`createOutbox(${name})`] = opening(value);
    calls[`createOutbox(sink, ${name})`] = opening(sink, value);
    for (const option of ["automatic", "serviceWorker", "maxJobs", "maxBytes", "concurrency"])
      calls[`createOutbox(sink, { ${option}: ${name} })`] = opening(sink, { [option]: value });
  }
  const wrong = [];
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call();
    } catch (error) {
      if (!isImagenCloudError(error)) wrong.push(`${name}: ${typeof error === "function" ? "what was thrown" : error}`);
    }
  }
  return wrong;
}

test("odd arguments are refused by an error of the package's, and do no harm", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const first = await tab.enqueue(1);
  assert.deepEqual(await tab.page.evaluate(strange, first.imageId), []);
  // Some of the images were whole.
  await tab.clear();
  const second = await tab.enqueue(2);
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [2], [second]);
});

test("many images are taken as the list was when it was given", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const stored = await tab.page.evaluate(async () => {
    const usual = { date: "2026-05-11", prompt: "p", backend: "b", image: new Blob(["x"], { type: "image/png" }) };
    const requests = Array.from({ length: 9 }, (_, seed) => ({ ...usual, seed, slug: `one-${seed}` }));
    const storing = window.kit.outbox("mine").enqueueMany(requests);
    requests.length = 0;
    return (await storing).map(({ ok }) => ok);
  });
  assert.deepEqual(stored, Array(9).fill(true));
});
