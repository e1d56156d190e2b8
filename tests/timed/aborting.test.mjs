// A signal stops the sync of a large image at once, wherever it is, and leaves its upload to be resumed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createSink } from "imagen-cloud";
import { outboxWorld, pathOf, sinkOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
/** On the busiest machine: whatever else would end such a call is held, or takes an hour. The figure is told by each test. */
const LIMIT_MS = 3000;
const FAR = 3_600_000;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
const world = outboxWorld();

const RESUMABLE = "/upload/resumable";
const BROKEN = { status: 500, body: { message: "broken" } };

/**
 * Where a call can be: the request that is held (until the abort), what the proxy answers itself to get there, and the
 * bytes that the server has then.
 */
const STATES = {
  "the creation": { hold: { method: "POST", target: RESUMABLE, at: "request" } },
  "a piece": { hold: { method: "PATCH", at: "request" }, has: 6 * MIB },
  "the last answer": { hold: { method: "PATCH", at: "answer" }, has: SIZE },
  "a look-up of the object": {
    hold: { method: "GET", target: "/object/info/", at: "request" },
    answer: { method: "PATCH", ...BROKEN },
    has: 6 * MIB,
  },
  "a question for the offset": {
    hold: { method: "HEAD", target: RESUMABLE, at: "request" },
    answer: { method: "PATCH", ...BROKEN },
    has: 6 * MIB,
  },
  "the insert": { hold: { method: "POST", target: "/rest/v1/", at: "request" }, has: SIZE, stage: "insert" },
  "the insert's answer": { hold: { method: "POST", target: "/rest/v1/", at: "answer" }, has: SIZE, stage: "insert" },
};

/** Starts a sync in Node; `abort` aborts it and tells how it ended, and after how long. */
async function startInNode(_t, user, sink) {
  const made = await createSink({
    ...sinkOf({ supabase: world.supabase, user, target: world.recorder.url, sink }),
    accessToken: () => user.accessToken,
  });
  const controller = new AbortController();
  const image = new Uint8Array(SIZE);
  image.set(PNG);
  const request = { date: "2026-05-11", slug: "lighthouse", seed: 1, prompt: "p", backend: "b", image };
  const waits = [];
  const call = made.sync(request, { signal: controller.signal, onRetry: (retry) => waits.push(retry) });
  const ended = call.then(
    () => ({}),
    (error) => ({ error, at: performance.now() }),
  );
  return {
    waits: async () => waits,
    async abort() {
      const aborted = performance.now();
      controller.abort();
      const { error, at } = await ended;
      return { error, tookMs: at - aborted };
    },
  };
}

/** The same in a page, which watches its progress. */
async function startInPage(t, user, sink) {
  const page = await (await world.context(t)).newPage();
  await page.goto(world.site.url);
  await page.evaluate(
    async ({ options, token, size }) => {
      const { createSink } = await import("/pkg/browser.js");
      const made = await createSink({ ...options, accessToken: () => token });
      const image = new Uint8Array(size);
      image.set(new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer()));
      const request = { date: "2026-05-11", slug: "lighthouse", seed: 1, prompt: "p", backend: "b", image };
      const controller = new AbortController();
      window.waits = [];
      const call = made.sync(request, {
        signal: controller.signal,
        onProgress() {},
        onRetry: (retry) => window.waits.push(retry),
      });
      const ended = call.then(
        () => ({}),
        ({ code, stage, storagePath, imageId }) => ({
          error: { code, stage, storagePath, imageId },
          at: performance.now(),
        }),
      );
      window.abort = async () => {
        const aborted = performance.now();
        controller.abort();
        const { error, at } = await ended;
        return { error, tookMs: at - aborted };
      };
    },
    {
      options: sinkOf({ supabase: world.supabase, user, target: world.recorder.url, sink }),
      token: user.accessToken,
      size: SIZE,
    },
  );
  return { waits: () => page.evaluate(() => window.waits), abort: () => page.evaluate(() => window.abort()) };
}

/** What the server has of the user's upload, asked past the proxy; undefined if it knows none. */
async function serverHas(user) {
  const addresses = world.recorder.requests.map(({ target, answerHeaders }) => answerHeaders?.location ?? target);
  const address = addresses.findLast((one) => one.includes(`${RESUMABLE}/`));
  if (address === undefined) return undefined;
  const { pathname } = new URL(address, world.supabase.url);
  const response = await fetch(world.supabase.url + pathname, {
    method: "HEAD",
    headers: {
      apikey: world.supabase.publishableKey,
      authorization: `Bearer ${user.accessToken}`,
      "tus-resumable": "1.0.0",
      "x-upsert": "true",
    },
  });
  return Number(response.headers.get("upload-offset"));
}

async function assertStopped(t, user, { error, tookMs }, { stage = "upload", has }) {
  assert.equal(error?.code, "aborted");
  assert.equal(error.stage, stage);
  assert.equal(error.storagePath, pathOf(user, 1));
  assert.match(error.imageId, /^[0-9a-f-]{36}$/);
  assert.ok(tookMs < LIMIT_MS, `${tookMs} ms`);
  t.diagnostic(`${tookMs.toFixed(1)} ms`);
  const requests = world.recorder.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(world.recorder.requests.length, requests, "nothing is sent after the end");
  assert.ok(world.recorder.requests.every(({ method }) => method !== "DELETE"));
  assert.equal(await serverHas(user), has, "what the server has is left to it");
}

for (const [where, start] of Object.entries({ Node: startInNode, "a page": startInPage })) {
  for (const [state, { hold: held, answer, ...rest }] of Object.entries(STATES)) {
    test(`an abort during ${state} in ${where}`, async (t) => {
      const user = await world.user();
      world.recorder.requests.length = 0;
      const stopAnswering = answer && world.recorder.answer(answer);
      const hold = world.recorder.hold(held);
      const call = await start(t, user, { initialBackoffMs: 1 });
      const request = await hold.reached;
      const outcome = await call.abort();
      await until(() => request.endedAt, "the end of the connection");
      stopAnswering?.();
      hold.release();
      await assertStopped(t, user, outcome, rest);
    });
  }

  test(`an abort during a wait in ${where}`, async (t) => {
    const user = await world.user();
    world.recorder.requests.length = 0;
    const stopAnswering = world.recorder.answer({ method: "PATCH", ...BROKEN });
    t.after(stopAnswering);
    const call = await start(t, user, { initialBackoffMs: FAR, maxBackoffMs: FAR });
    await until(async () => (await call.waits()).length > 0, "the wait");
    await assertStopped(t, user, await call.abort(), { has: 6 * MIB });
  });
}

/** A sink in Node for states that need no proxy's help. */
async function syncInNode(user, { sink, ...options }) {
  const made = await createSink({
    ...sinkOf({ supabase: world.supabase, user, target: world.recorder.url }),
    accessToken: () => user.accessToken,
    ...sink,
  });
  const image = new Uint8Array(20 * MIB);
  image.set(PNG);
  const request = { date: "2026-05-11", slug: "lighthouse", seed: 1, prompt: "p", backend: "b", image };
  const begun = performance.now();
  return made.sync(request, options).then(
    () => ({}),
    (error) => ({ error, begun, at: performance.now() }),
  );
}

test("an abort before anything is sent", async () => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const { error, begun, at } = await syncInNode(user, { signal: AbortSignal.abort() });
  assert.equal(error.code, "aborted");
  assert.ok(at - begun < LIMIT_MS);
  assert.equal(world.recorder.requests.length, 0);
});

test("an abort between two pieces", async (t) => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const controller = new AbortController();
  let abortedAt;
  const onProgress = ({ sent }) => {
    if (sent < 12 * MIB || abortedAt) return;
    abortedAt = performance.now();
    controller.abort();
  };
  const { error, at } = await syncInNode(user, { signal: controller.signal, onProgress });
  await assertStopped(t, user, { error, tookMs: at - abortedAt }, { has: 12 * MIB });
});

test("an abort while the token is waited for", async (t) => {
  const user = await world.user();
  world.recorder.requests.length = 0;
  const controller = new AbortController();
  let asked = 0;
  let abortedAt;
  const accessToken = () => {
    asked += 1;
    if (asked < 3) return user.accessToken;
    setTimeout(() => {
      abortedAt = performance.now();
      controller.abort();
    }, 20);
    return new Promise(() => {});
  };
  const { error, at } = await syncInNode(user, { signal: controller.signal, sink: { accessToken } });
  await assertStopped(t, user, { error, tookMs: at - abortedAt }, { has: 12 * MIB });
});
