// An AbortSignal and a deadline stop a call at once, wherever it is, and leave nothing running.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";
import { createSink } from "imagen-cloud";
import { createFakeProject } from "imagen-cloud/testing";
import {
  aRequest,
  holdTimers,
  OWNER,
  PATH,
  POST,
  PUT,
  rejection,
  SIGN,
  scripted,
  sentTo,
  sinkFor,
} from "./helpers.mjs";

const FAR = 3_600_000;
const CALLS = {
  upload: { route: PUT, call: (sink, options) => sink.sync(aRequest(), options) },
  insert: { route: POST, call: (sink, options) => sink.sync(aRequest(), options) },
  sign: { route: SIGN, call: (sink, options) => sink.signedUrl(PATH, 60, options) },
};

test("a signal that is aborted already stops the call before anything is sent", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const reason = new Error("no longer wanted");
  const signal = AbortSignal.abort(reason);
  for (const call of [() => sink.sync(aRequest(), { signal }), () => sink.signedUrl(PATH, 60, { signal })]) {
    const error = await rejection(call, { code: "aborted", attempts: 0, retryable: false });
    assert.equal(error.cause, reason);
  }
  assert.equal(server.requests.length, 0);
});

for (const [stage, { route, call }] of Object.entries(CALLS)) {
  test(`${stage} is cut when the signal aborts during the request`, async (t) => {
    const server = await scripted(t, { [route]: [{ hang: true }] });
    const sink = await sinkFor(t, server);
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const rejected = rejection(() => call(sink, { signal: controller.signal }), { code: "aborted", stage });
    await server.until(() => sentTo(server, route).length === 1);
    controller.abort(reason);
    const error = await rejected;
    assert.equal(error.cause, reason);
    if (stage === "insert") {
      assert.equal(error.storagePath, PATH);
      assert.ok(error.imageId);
    }
    await server.until(() => sentTo(server, route)[0].aborted);
  });

  test(`${stage} is stopped when the signal aborts during a wait`, async (t) => {
    const server = await scripted(t, { [route]: [{ status: 503 }] });
    const sink = await sinkFor(t, server, { initialBackoffMs: FAR, maxBackoffMs: FAR });
    const controller = new AbortController();
    const onRetry = () => setImmediate(() => controller.abort());
    await rejection(() => call(sink, { signal: controller.signal, onRetry }), { code: "aborted", stage });
    assert.equal(sentTo(server, route).length, 1);
  });

  test(`${stage} ends with deadline_exceeded when it gets no answer`, async (t) => {
    const server = await scripted(t, { [route]: [{ hang: true }] });
    const sink = await sinkFor(t, server);
    const time = holdTimers(t, FAR);
    const expected = { code: "deadline_exceeded", stage, retryable: true };
    const rejected = rejection(() => call(sink, { deadlineMs: FAR }), expected);
    await server.until(() => sentTo(server, route).length === 1);
    time.passes(FAR);
    await rejected;
    await server.until(() => sentTo(server, route)[0].aborted);
  });

  test(`${stage} ends with deadline_exceeded instead of a wait beyond the deadline`, async (t) => {
    const server = await scripted(t, { [route]: [{ status: 503, headers: { "retry-after": "2000" } }] });
    const sink = await sinkFor(t, server, { maxBackoffMs: FAR });
    const time = holdTimers(t, FAR / 2);
    const onRetry = () => setImmediate(() => time.passes(FAR / 2));
    await rejection(() => call(sink, { deadlineMs: FAR / 2, onRetry }), { code: "deadline_exceeded", stage });
    assert.equal(sentTo(server, route).length, 1);
  });

  test(`${stage} without an answer for timeoutMs is cut, tried again, and ends as a timeout`, async (t) => {
    const server = await scripted(t, { [route]: [{ hang: true }] });
    const sink = await sinkFor(t, server, { timeoutMs: FAR, maxRetries: 1 });
    const time = holdTimers(t, FAR);
    const rejected = rejection(() => call(sink), { code: "timeout", stage, retryable: true, attempts: 2 });
    for (const attempt of [1, 2]) {
      await server.until(() => sentTo(server, route).length === attempt);
      // 21 KB at 16 KiB per second are added to an upload's time.
      time.passes(FAR + 2000);
    }
    await rejected;
    assert.equal(sentTo(server, route).length, 2);
  });
}

test("a body that stops half-way is cut after timeoutMs too", async (t) => {
  const server = await scripted(t);
  const body = () =>
    new ReadableStream({
      start(stream) {
        stream.enqueue(new TextEncoder().encode('{"signedURL":'));
      },
    });
  const fetch = async () => new Response(body(), { status: 200 });
  const sink = await sinkFor(t, server, { fetch, timeoutMs: 50, maxRetries: 0 });
  await rejection(() => sink.signedUrl(PATH, 60), { code: "timeout", stage: "sign" });
});

test("fetch's own signal is aborted, so that the request really ends", async (t) => {
  const server = await scripted(t);
  const signals = [];
  const fetch = (input, init) => {
    signals.push(init?.signal ?? input.signal);
    return new Promise(() => {});
  };
  const sink = await sinkFor(t, server, { fetch });
  const controller = new AbortController();
  const rejected = rejection(() => sink.sync(aRequest(), { signal: controller.signal }), { code: "aborted" });
  await new Promise(setImmediate);
  while (signals.length === 0) await new Promise(setImmediate);
  assert.equal(signals[0].aborted, false);
  controller.abort();
  await rejected;
  assert.equal(signals[0].aborted, true);
});

test("a call that ends leaves no listener on a signal that lives on", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, { status: 503 }, { body: { Key: "x" } }] });
  const sink = await sinkFor(t, server);
  const { signal } = new AbortController();
  await sink.sync(aRequest(), { signal });
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("aborting after the end changes nothing", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const controller = new AbortController();
  await sink.sync(aRequest(), { signal: controller.signal });
  controller.abort();
  assert.equal(server.requests.length, 2);
});

test("one call's signal does not touch another call of the sink", async (t) => {
  let letGo;
  const held = new Promise((resolve) => {
    letGo = resolve;
  });
  const server = await scripted(t, {
    [PUT]: [
      async () => {
        await held;
        return { body: { Key: "x" } };
      },
    ],
  });
  const sink = await sinkFor(t, server);
  const controller = new AbortController();
  const stopped = rejection(() => sink.sync(aRequest(), { signal: controller.signal }), { code: "aborted" });
  const other = sink.sync(aRequest({ seed: 43 }));
  await server.until(() => sentTo(server, PUT).length === 2);
  controller.abort();
  await stopped;
  letGo();
  assert.equal((await other).storagePath, "2026-05-11/lighthouse-43.png");
});

/** Runs a module's text in a process of its own, which has to end by itself. */
const endsByItself = (body) =>
  promisify(execFile)(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { createSink } from "imagen-cloud";
       import { startScripted } from ${JSON.stringify(new URL("../support/scripted.mjs", import.meta.url))};
       import { aRequest, inserted, uploaded } from ${JSON.stringify(new URL("helpers.mjs", import.meta.url))};
       ${body}`,
    ],
    { cwd: new URL("../..", import.meta.url), timeout: 60_000 },
  );

const sinkText = (options) => `await createSink({ url: server.url, apiKey: "k", ownerUserId: "${OWNER}", ${options} })`;

test("a process ends right after an aborted wait: no timer is left", async () => {
  await endsByItself(`
    const server = await startScripted([{ status: 503 }]);
    const sink = ${sinkText(`initialBackoffMs: ${FAR}, maxBackoffMs: ${FAR}, timeoutMs: ${FAR}`)};
    const controller = new AbortController();
    const call = sink.sync(aRequest(), { signal: controller.signal, deadlineMs: ${FAR}, onRetry: () => controller.abort() });
    const error = await call.catch((reason) => reason);
    if (error.code !== "aborted") throw error;
    await server.close();`);
});

test("a process ends right after a successful call: no timer is left", async () => {
  await endsByItself(`
    const server = await startScripted({ "PUT /": [uploaded], "POST /": [inserted] });
    const sink = ${sinkText(`timeoutMs: ${FAR}`)};
    await sink.sync(aRequest(), { deadlineMs: ${FAR}, signal: new AbortController().signal });
    await server.close();`);
});

test("a_host_that_calls_back_after_a_call_has_ended_does_no_harm", async (t) => {
  const project = createFakeProject(); // its fetch sets no timers of its own
  const sink = await createSink({ ...project.options, accessToken: async () => project.user.accessToken() });
  t.after(() => sink.free());
  const { setTimeout, clearTimeout } = globalThis;
  t.after(() => Object.assign(globalThis, { setTimeout, clearTimeout }));
  const kept = [];
  const keep = (done) => void kept.push(done);
  // As a test's fake clock does, which knows nothing of the timers from before it.
  Object.assign(globalThis, { setTimeout: keep, clearTimeout: () => {} });
  const signal = { aborted: false, addEventListener: (_, done) => keep(done), removeEventListener: () => {} };
  await sink.sync(aRequest(), { signal, deadlineMs: FAR });
  assert.ok(kept.length > 3, `${kept.length} callbacks`);
  for (const done of [...kept, ...kept]) done({ type: "abort" });
});
