// Progress of large images: by the byte in a page, by the piece elsewhere, and patience with a line that moves.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createSink } from "imagen-cloud";
import { dispatchSync } from "../support/background.mjs";
import { outboxWorld, sinkOf } from "../support/outbox.mjs";
import { startSlowLine } from "../support/slow.mjs";
import { until } from "../support/until.mjs";

const MIB = 1024 * 1024;
const CHUNK = 6 * MIB;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
/** The system takes 4 MiB and more at once for a connection within one machine: what is watched has to be larger. */
const ONE_PUT = { resumableFrom: 100 * MIB };
const LARGE_PIECES = 10 * MIB;
/** On the busiest machine; whatever else would end such a call takes longer by far. The figure is told by each test. */
const AT_ONCE_MS = 3000;
const world = outboxWorld();

const imageOf = (size) => {
  const bytes = new Uint8Array(size);
  bytes.set(PNG);
  return bytes;
};

const request = (size, seed = 1) => ({
  date: "2026-05-11",
  slug: "lighthouse",
  seed,
  prompt: "p",
  backend: "b",
  image: imageOf(size),
});

const sent = (method) => world.recorder.requests.filter((one) => one.method === method);

/** Every event tells of all bytes, none goes back, and the last ones are those of a call that is done. */
function assertMonotonic(events, total) {
  for (const [index, event] of events.entries()) {
    assert.equal(event.total, total);
    assert.ok(event.sent >= (events[index - 1]?.sent ?? 0) && event.sent <= total, JSON.stringify(events));
  }
  assert.deepEqual(events.at(0), { stage: "upload", sent: 0, total });
  assert.deepEqual(
    events.filter(({ stage }) => stage !== "upload"),
    [
      { stage: "insert", sent: total, total },
      { stage: "done", sent: total, total },
    ],
  );
}

/**
 * In a page: waits of 100 ms and more end when the test has `window.pass` so much time, and `window.seen` is how far the
 * newest upload by XMLHttpRequest is.
 */
function manualTime() {
  const { setTimeout: startTimer, clearTimeout: stopTimer } = window;
  const timers = new Map();
  let now = 0;
  let lastId = 1_000_000;
  window.setTimeout = (run, ms = 0, ...args) => {
    if (ms < 100) return startTimer(run, ms, ...args);
    lastId += 1;
    timers.set(lastId, { at: now + ms, run: () => run(...args) });
    return lastId;
  };
  window.clearTimeout = (id) => timers.delete(id) || stopTimer(id);
  window.pass = (ms) => {
    now += ms;
    for (const [id, { at, run }] of [...timers]) if (at <= now && timers.delete(id)) run();
  };
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (body) {
    window.seen = 0;
    this.upload.addEventListener("progress", ({ loaded }) => {
      window.seen = loaded;
    });
    return send.call(this, body);
  };
}

const seen = (page) => page.evaluate(() => window.seen ?? 0);
const pass = (page, ms) => page.evaluate((time) => window.pass(time), ms);

/** A page on the test site that has heard every word of its console. */
async function openPage(t, init) {
  const context = await world.context(t);
  const page = await context.newPage();
  if (init) await page.addInitScript(init);
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(world.site.url);
  return { page, complaints };
}

/**
 * Syncs an image of so many bytes in the page and tells what was heard of it. `injected` gives the sink a fetch of its
 * own, `watched: false` no onProgress.
 */
const syncInPage = (page, user, { url, size, seed = 1, injected = false, watched = true, sink = {}, abortAt }) =>
  page.evaluate(
    async ({ options, token, size, seed, injected, watched, abortAt }) => {
      const { createSink } = await import("/pkg/browser.js");
      const counts = { xhr: 0, fetch: 0, unsafe: 0 };
      const { open } = XMLHttpRequest.prototype;
      XMLHttpRequest.prototype.open = function (...args) {
        counts.xhr += 1;
        return open.apply(this, args);
      };
      const ownFetch = (...args) => {
        counts.fetch += 1;
        return fetch(...args);
      };
      const made = await createSink({ ...options, accessToken: () => token, ...(injected && { fetch: ownFetch }) });
      const image = new Uint8Array(size);
      image.set(new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer()));
      const events = [];
      const controller = new AbortController();
      let abortedAt;
      const onProgress = (progress) => {
        events.push({ ...progress, at: performance.now() });
        if (abortAt !== undefined && progress.sent > abortAt && !abortedAt) {
          abortedAt = performance.now();
          controller.abort();
        }
      };
      const request = { date: "2026-05-11", slug: "lighthouse", seed, prompt: "p", backend: "b", image };
      const call = made.sync(request, { signal: controller.signal, ...(watched && { onProgress }) });
      const result = await call.then(
        (value) => ({ value }),
        ({ code, stage, message }) => ({ error: { code, stage, message } }),
      );
      XMLHttpRequest.prototype.open = open;
      return { ...result, events, counts, stoppedAfterMs: performance.now() - abortedAt };
    },
    {
      options: sinkOf({ supabase: world.supabase, user, target: url, sink }),
      token: user.accessToken,
      size,
      seed,
      injected,
      watched,
      abortAt,
    },
  );

const withoutTimes = (events) => events.map(({ at, ...event }) => event);

/** A line that lets through what it was granted. */
const steppedLine = (t) => slowLine(t, undefined);

/** Lets a call's bytes through by 128 KiB, each after a turn of the page's: it hears of them however busy the machine is. */
async function trickle(page, line, call) {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  call.then(end, end);
  await until(async () => {
    line.grant(128 * 1024);
    await seen(page);
    return isOver;
  }, "the end of a call whose bytes trickle");
  return call;
}

async function slowLine(t, bytesPerSecond) {
  const line = await startSlowLine({ target: world.recorder.url, bytesPerSecond });
  t.after(() => line.close());
  world.recorder.requests.length = 0;
  return line;
}

test("a page tells of the bytes within one PUT", async (t) => {
  const [user, line] = [await world.user(), await steppedLine(t)];
  const { page, complaints } = await openPage(t);
  const size = 14 * MIB;
  const { value, error, events, counts } = await trickle(
    page,
    line,
    syncInPage(page, user, { url: line.url, size, sink: ONE_PUT }),
  );
  assert.ok(value, error?.message);
  assertMonotonic(withoutTimes(events), size);
  const steps = new Set(events.map((event) => event.sent));
  assert.ok(steps.size >= 3, [...steps].join(" "));
  assert.equal(sent("PUT").length, 1);
  assert.ok(counts.xhr >= 1);
  assert.deepEqual(complaints, []);
  t.diagnostic(`${steps.size} steps of ${size} bytes in one PUT`);
});

test("a page tells of the bytes within each piece", async (t) => {
  const [user, line] = [await world.user(), await steppedLine(t)];
  const { page, complaints } = await openPage(t);
  const size = 21 * MIB;
  const sink = { chunkSize: LARGE_PIECES };
  const { value, error, events } = await trickle(page, line, syncInPage(page, user, { url: line.url, size, sink }));
  assert.ok(value, error?.message);
  assertMonotonic(withoutTimes(events), size);
  // How many there are is the system's to say, which takes some megabytes at once.
  for (const from of [0, LARGE_PIECES]) {
    const isWithin = ({ sent }) => sent > from && sent < from + LARGE_PIECES;
    assert.ok(events.some(isWithin), `${events.map(({ sent }) => sent)}`);
  }
  const gaps = events.slice(1).map(({ at }, index) => at - events[index].at);
  assert.equal(sent("PATCH").length, 2);
  assert.deepEqual(complaints, [], "no header is asked for that may not be read");
  t.diagnostic(`${events.length} events, ${Math.round(Math.min(...gaps))} ms apart at least`);
});

for (const [what, settings] of Object.entries({
  "with a fetch of the caller's": { injected: true },
  "that nobody watches": { watched: false },
})) {
  test(`a page's sync ${what} uses no XMLHttpRequest`, async (t) => {
    const user = await world.user();
    world.recorder.requests.length = 0;
    const { page, complaints } = await openPage(t);
    const size = 13 * MIB;
    const result = await syncInPage(page, user, { url: world.recorder.url, size, ...settings });
    assert.ok(result.value, result.error?.message);
    assert.equal(result.counts.xhr, 0);
    if (settings.injected) {
      assert.equal(result.counts.fetch, 4, "three pieces and a row");
      assertMonotonic(withoutTimes(result.events), size);
      assert.deepEqual([...new Set(result.events.map((event) => event.sent))], [0, CHUNK, 2 * CHUNK, size]);
    }
    assert.deepEqual(complaints, []);
  });
}

test("Node tells of every piece", async () => {
  const user = await world.user();
  const sink = await createSink({
    ...sinkOf({ supabase: world.supabase, user, target: world.recorder.url }),
    accessToken: () => user.accessToken,
  });
  const events = [];
  await sink.sync(request(13 * MIB), { onProgress: (progress) => events.push(progress) });
  assertMonotonic(events, 13 * MIB);
  assert.deepEqual([...new Set(events.map((event) => event.sent))], [0, CHUNK, 2 * CHUNK, 13 * MIB]);
});

test("a service worker, which has no XMLHttpRequest, tells of every piece and finishes a page's upload", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const size = 20 * MIB;
  world.recorder.requests.length = 0;
  const hold = world.recorder.hold({ method: "PATCH", at: "request", skip: 1 });
  const { imageId } = await tab.page.evaluate(async (size) => {
    const bytes = new Uint8Array(size);
    bytes.set(new Uint8Array(await (await fetch("/data/lighthouse.png")).arrayBuffer()));
    const { value, error } = await window.kit.run("enqueue", "mine", 1, { image: new Blob([bytes]) });
    if (error) throw new Error(error.message);
    return value;
  }, size);
  tab.drain().catch(() => {}); // ends with the page
  const held = await hold.reached;
  // It listens, and drains nothing; its service worker waits for its turn.
  const other = await world.tab(t, user, { context, worker: world.worker(user) });
  await tab.page.close();
  await until(() => held.endedAt, "the end of the page's connection");
  const heard = (await other.changes()).length; // of the page that is gone
  hold.release();
  await dispatchSync(context, world.site.url);
  await other.empty();
  assert.equal(sent("POST").filter(({ target }) => target.includes("resumable")).length, 1, "it is one upload");
  const bytes = [...sent("POST"), ...sent("PATCH")]
    .filter(({ target }) => target.includes("resumable"))
    .reduce((sum, { headers }) => sum + Number(headers["content-length"]), 0);
  assert.ok(bytes <= size + CHUNK, `${bytes} bytes`);
  const changes = (await other.changes()).slice(heard);
  const progress = changes.filter(({ state }) => state === "progress").map((change) => change.sent);
  assert.deepEqual(
    progress,
    [...progress].sort((one, two) => one - two),
  );
  assert.deepEqual([...new Set(progress)], [0, 2 * CHUNK, 3 * CHUNK], "the server's offset, and every piece");
  const rows = await world.supabase.sql("select id from imagen.images where owner_user_id = $1", [user.id]);
  assert.deepEqual(rows, [{ id: imageId }]);
});

test("an attempt that moves is not cut, however long it takes; one that stands still is", async (t) => {
  const [user, line] = [await world.user(), await steppedLine(t)];
  const { page } = await openPage(t, manualTime);
  const sink = { ...ONE_PUT, timeoutMs: 1000, maxRetries: 0 };
  const size = 20 * MIB;
  const moving = syncInPage(page, user, { url: line.url, size, sink });
  for (const step of [1, 2, 3, 4]) {
    const before = await seen(page);
    line.grant(2 * MIB);
    await until(async () => (await seen(page)) > before, `step ${step} of the upload`);
    await pass(page, 0.9 * sink.timeoutMs);
  }
  line.grant(Number.POSITIVE_INFINITY);
  const { value, error } = await moving;
  assert.ok(value, error?.message);
  assert.equal(sent("PUT").length, 1);

  const still = await steppedLine(t);
  const stuck = syncInPage(page, user, { url: still.url, size, seed: 2, sink });
  still.grant(2 * MIB);
  await until(async () => (await seen(page)) > 0, "the beginning of the upload");
  const cut = stuck.then(() => "cut");
  await until(async () => {
    await pass(page, sink.timeoutMs);
    return Promise.race([cut, false]);
  }, "the end of patience");
  const outcome = await stuck;
  assert.deepEqual([outcome.error?.code, outcome.error?.stage], ["timeout", "upload"]);
});

test("bytes that the system has all taken at once have their time on a slow line", async (t) => {
  const [user, line] = [await world.user(), await steppedLine(t)];
  const { page } = await openPage(t, manualTime);
  const sink = { timeoutMs: 500, maxRetries: 0 };
  const size = 3 * MIB;
  const call = syncInPage(page, user, { url: line.url, size, sink });
  line.grant(MIB);
  await until(async () => (await seen(page)) >= size, "the system to have taken all bytes");
  await pass(page, 2.5 * sink.timeoutMs);
  line.grant(Number.POSITIVE_INFINITY);
  const { value, error } = await call;
  assert.ok(value, error?.message);
  assert.equal(sent("PUT").length, 1);
});

for (const [what, size] of Object.entries({ "one PUT": 5 * MIB, "a piece": 13 * MIB })) {
  test(`a page's abort within ${what} ends the call at once`, async (t) => {
    const [user, line] = [await world.user(), await slowLine(t, 4 * MIB)];
    const { page, complaints } = await openPage(t);
    const { error, events, stoppedAfterMs } = await syncInPage(page, user, { url: line.url, size, abortAt: 4 * MIB });
    assert.deepEqual([error?.code, error?.stage], ["aborted", "upload"]);
    assert.ok(stoppedAfterMs < AT_ONCE_MS, `${stoppedAfterMs} ms`);
    const heard = events.length;
    await page.waitForTimeout(200);
    assert.equal(events.length, heard, "nothing is told after the end");
    assert.equal(sent("DELETE").length, 0, "an upload in pieces is left to be resumed");
    assert.deepEqual(complaints, []);
    t.diagnostic(`${stoppedAfterMs.toFixed(1)} ms`);
  });
}
