// Several tabs and the service worker share one outbox.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dispatchSync } from "../support/background.mjs";
import { databaseOf, imageBytes, outboxWorld, range, sinkOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
const ofUser = (user) => world.recorder.requests.filter(({ image }) => image?.startsWith(user.id));

/** How many tabs and workers drain, or wait for their turn. */
async function drainers(tab, user) {
  const { held, pending } = await tab.page.evaluate(() => navigator.locks.query());
  const ours = [...held, ...pending].filter(({ name }) => name === databaseOf(user));
  return new Set(ours.map(({ clientId }) => clientId)).size;
}

test("two tabs and the service worker drain one outbox at once: each image once, never two requests for one", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  const numbers = range(12);
  const results = [];
  for (const number of numbers) results.push(await tabs[number % 2].enqueue(number));
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drains = tabs.map((tab) => tab.drain());
  // Registering it starts it, and it drains at its start; the event has it drain again.
  await tabs[0].page.evaluate((url) => navigator.serviceWorker.register(url, { type: "module" }), world.worker(user));
  drains.push(dispatchSync(context, world.site.url));
  await until(async () => (await drainers(tabs[0], user)) === 3, "all three at the outbox's lock");
  hold.release();
  await Promise.all(drains);
  await tabs[0].empty();

  await world.arrived(user, numbers, results);
  assert.deepEqual(world.recorder.overlaps(), []);
  const count = (wanted) => ofUser(user).filter(({ method }) => method === wanted).length;
  assert.deepEqual([count("PUT"), count("POST") <= numbers.length], [numbers.length, true]);
  for (const tab of tabs) {
    const done = async () => (await tab.changes()).filter(({ state }) => state === "done").map(({ id }) => id);
    await until(async () => (await done()).length >= numbers.length, "a word of every image");
    assert.deepEqual((await done()).sort(), results.map(({ imageId }) => imageId).sort());
  }
});

test("two tabs that drain on their own send each image once", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const options = { automatic: true };
  const tabs = [await world.tab(t, user, { context, options }), await world.tab(t, user, { context, options })];
  const numbers = range(10);
  const results = await Promise.all(numbers.map((number) => tabs[number % 2].enqueue(number)));
  await tabs[1].empty();
  await world.arrived(user, numbers, results);
  assert.deepEqual(world.recorder.overlaps(), []);
  assert.equal(ofUser(user).filter(({ method }) => method === "PUT").length, numbers.length);
});

for (const [what, event] of Object.entries({
  "comes online": () => window.dispatchEvent(new Event("online")),
  "becomes visible": () => document.dispatchEvent(new Event("visibilitychange")),
})) {
  test(`a tab drains when it ${what}`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const tab = await world.tab(t, user, { context, options: { automatic: true } });
    await tab.drain(); // what it does at its start is over
    const other = await world.tab(t, user, { context });
    await other.enqueue(1);
    await tab.page.evaluate(event);
    await other.empty();
    await world.arrived(user, [1]);
  });
}

test("both tabs are told the same of every change", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  const [kept, dropped] = await tabs[0].enqueueAll([1, 2]);
  // What a tab does itself it is told at once, what the other one did a little later.
  const isTold = (tab, state, count = 1) =>
    until(async () => (await tab.changes()).filter((change) => change.state === state).length === count, state);
  await isTold(tabs[1], "queued", 2);
  await tabs[1].discard(dropped.imageId);
  await tabs[1].drain();
  await tabs[0].pause();
  await isTold(tabs[1], "paused");
  await tabs[1].resume();
  await isTold(tabs[0], "resumed");
  const [first, second] = await Promise.all(tabs.map((tab) => tab.changes()));
  // What one tab does while the other one does something else may be told in another order: per image it is the same.
  for (const { imageId } of [kept, dropped]) {
    const of = (changes) => changes.filter(({ id }) => id === imageId);
    assert.deepEqual(of(first), of(second));
  }
  const states = (id) =>
    first.filter((change) => change.id === id && change.state !== "progress").map(({ state }) => state);
  assert.deepEqual(states(kept.imageId), ["queued", "uploading", "uploaded", "done"]);
  assert.deepEqual(states(dropped.imageId), ["queued", "discarded"]);
  assert.deepEqual(states(undefined), ["paused", "resumed"]);
  for (const { id, job, state } of first.filter((change) => change.job)) {
    assert.deepEqual([job.id, job.state], [id, state]);
  }
  let last = 0;
  for (const { id, sent, total } of first.filter(({ state }) => state === "progress")) {
    assert.deepEqual([id, total], [kept.imageId, imageBytes(1).length]);
    assert.ok(sent >= last && sent <= total, `${sent} of ${total} after ${last}`);
    last = sent;
  }
});

test("a pause holds in all tabs and after a reload, until it is ended", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const options = { automatic: true };
  const tabs = [await world.tab(t, user, { context, options }), await world.tab(t, user, { context, options })];
  for (const tab of tabs) await tab.drain(); // what they do at their start is over
  await tabs[0].pause();
  await tabs[1].enqueueAll([1, 2]);
  assert.deepEqual(await tabs[1].drain(), { done: 0, failed: 0, waiting: 2, stopped: "paused" });
  await tabs[1].reload();
  await tabs[1].open();
  assert.deepEqual(await Promise.all(tabs.map((tab) => tab.isPaused())), [true, true]);
  assert.equal((await tabs[1].drain()).stopped, "paused");
  assert.deepEqual(ofUser(user), []);

  await tabs[1].resume();
  assert.deepEqual(await Promise.all(tabs.map((tab) => tab.isPaused())), [false, false]);
  await tabs[0].empty();
  await world.arrived(user, [1, 2]);
});

test("a pause aborts the uploads of another tab, and they go on after it", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  await tabs[0].enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drained = tabs[0].drain();
  await hold.reached;
  await tabs[1].pause();
  assert.deepEqual(await drained, { done: 0, failed: 0, waiting: 1, stopped: "paused" });
  hold.release();
  const [job] = await tabs[1].list();
  assert.deepEqual([job.attempts, job.notBefore], [0, 0], "a pause is no failure");
  await tabs[1].resume();
  assert.equal((await tabs[1].drain()).done, 1);
  await world.arrived(user, [1]);
});

test("a tab that was closed is told nothing more, and its jobs stay", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  await tabs[0].enqueue(1);
  await until(async () => (await tabs[1].changes()).length === 1);
  await tabs[1].close();
  await tabs[0].drain();
  assert.equal((await tabs[1].changes()).length, 1);
  await assert.rejects(tabs[1].list(), { name: "ImagenCloudError" });
  await world.arrived(user, [1]);
});

test("what is under way when an outbox is closed is done, and no connection stays open", async (t) => {
  const init = () => {
    window.databases = [];
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (...args) {
      const opening = open.apply(this, args);
      opening.addEventListener("success", () => window.databases.push(opening.result));
      return opening;
    };
    const { delete: forget } = Cache.prototype;
    const isReleased = new Promise((resolve) => {
      window.release = resolve;
    });
    Cache.prototype.delete = async function (...args) {
      window.isForgetting = true;
      await isReleased;
      return forget.apply(this, args);
    };
  };
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, init });
  const { imageId } = await tab.enqueue(1);
  const discarded = tab.discard(imageId);
  await tab.page.waitForFunction(() => window.isForgetting);
  await tab.close();
  await tab.page.evaluate(() => window.release());
  await discarded;
  const open = await tab.page.evaluate(() => {
    const isOpen = (database) => {
      try {
        database.transaction("jobs").abort();
        return true;
      } catch {
        return false;
      }
    };
    return window.databases.filter(isOpen).length;
  });
  assert.equal(open, 0);
  const other = await world.tab(t, user, { context });
  assert.deepEqual(await other.list(), []);
});

test("an image that is enqueued anew while its first job is being sent arrives as it was enqueued last", async (t) => {
  const imageId = "5f0c2b9e-2222-4333-8444-555566667777";
  for (const method of ["PUT", "POST"]) {
    const user = await world.user();
    const context = await world.context(t);
    // It is not told of what the other does, and finds out.
    const init = () => (window.BroadcastChannel = undefined);
    const tabs = [await world.tab(t, user, { context, init }), await world.tab(t, user, { context })];
    await tabs[0].enqueue(1, { imageId });
    const hold = world.recorder.hold({ method, at: "request" });
    const drained = tabs[0].drain();
    await hold.reached;
    await tabs[1].discard(imageId);
    const result = await tabs[1].enqueue(1, { imageId, prompt: "another" });
    hold.release();
    assert.deepEqual(await drained, { done: 1, failed: 0, waiting: 0 });
    await world.arrived(user, [1], [result]);
    const [{ prompt }] = await world.supabase.sql("select prompt from imagen.images where id = $1", [imageId]);
    assert.equal(prompt, method === "PUT" ? "another" : "p1", "a row that was on its way may still arrive");
    await world.supabase.sql("delete from imagen.images where id = $1", [imageId]);
  }
});

test("an image that another tab takes in waits for no upload that is under way", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const options = { concurrency: 2 };
  const tabs = [await world.tab(t, user, { context, options }), await world.tab(t, user, { context, options })];
  await tabs[0].enqueue(0);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drained = tabs[0].drain();
  await hold.reached;
  await tabs[1].enqueue(1);
  await until(async () => (await tabs[1].list()).length === 1, "the second one's arrival");
  await world.arrived(user, [1]);
  hold.release();
  assert.deepEqual(await drained, { done: 2, failed: 0, waiting: 0 });
  await world.arrived(user, [0, 1]);
});

for (const method of ["discard", "clear"]) {
  test(`${method} in one tab ends another tab's upload, and the server forgets what it has of it`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const settings = { context, sink: { resumableFrom: 1, chunkSize: 8192 } };
    const tabs = [await world.tab(t, user, settings), await world.tab(t, user, settings)];
    const { imageId } = await tabs[0].enqueue(0);
    const hold = world.recorder.hold({ method: "PATCH", at: "request", image: user.id });
    const drained = tabs[0].drain();
    await hold.reached;
    await tabs[1][method](imageId);
    assert.deepEqual(await drained, { done: 0, failed: 0, waiting: 0 }, "while its request is still held");
    const deletion = await until(() => ofUser(user).find((request) => request.method === "DELETE"), "a DELETE");
    await until(() => deletion.endedAt, "its answer");
    hold.release();
    const { status } = await fetch(new URL(deletion.target, world.supabase.url), {
      method: "HEAD",
      headers: {
        "tus-resumable": "1.0.0",
        "x-upsert": "true",
        apikey: world.supabase.publishableKey,
        authorization: `Bearer ${user.accessToken}`,
      },
    });
    assert.equal(status, 404);
    await world.arrived(user, []);
    assert.deepEqual(await tabs[0].list(), []);
  });
}

test("a service worker that goes on running sends the images of whoever signs in next", async (t) => {
  const [user, other] = [await world.user(), await world.user()];
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const mine = [await tab.enqueue(1)];
  await tab.openAs("theirs", other);
  const theirs = [await tab.run("enqueue", "theirs", 2, {})];
  const register = (url) =>
    tab.page.evaluate((given) => navigator.serviceWorker.register(given, { type: "module" }), url);
  await register(world.worker(user, { script: "signed-in-sw.js" }));
  await tab.empty();
  await world.arrived(user, [1], mine);
  assert.equal((await tab.run("call", "theirs", "list")).length, 1);
  await tab.page.evaluate(async (config) => (await navigator.serviceWorker.ready).active.postMessage(config), {
    sink: sinkOf({ user: other, supabase: world.supabase, target: world.recorder.url }),
    token: other.accessToken,
  });
  await dispatchSync(context, world.site.url);
  await until(async () => (await tab.run("call", "theirs", "list")).length === 0, "their image's arrival");
  await world.arrived(other, [2], theirs);
});
