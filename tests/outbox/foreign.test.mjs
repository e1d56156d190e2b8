// What others of the same origin, or a damaged disk, put into the outbox's database and channel.
import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseOf, imageBytes, outboxWorld } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
const OTHER = "6a1d3c0f-2222-4333-8444-555566667777";

/** Ways to edit a job's text, or the request in it. */
const EDITS = {
  "text names another id": { text: { id: OTHER } },
  "text names another path": { text: { storagePath: "elsewhere/2026-05-11/lighthouse-2.png" } },
  "text has no request": { text: { request: null } },
  "request is none": { request: { seed: 1 } },
  "request lacks a field": { request: { prompt: undefined } },
};

const edit = (tab, user, id, changes) =>
  tab.page.evaluate(
    async ([name, id, { text, request }]) => {
      const { settled } = window.kit;
      const database = await settled(indexedDB.open(name));
      const jobs = database.transaction("jobs", "readwrite").objectStore("jobs");
      const record = await settled(jobs.index("id").get(id));
      const job = { ...JSON.parse(record.text), ...text };
      if (request) job.request = { ...job.request, ...request };
      await settled(jobs.put({ ...record, text: JSON.stringify(job) }));
      database.close();
    },
    [databaseOf(user), id, changes],
  );

for (const [how, changes] of Object.entries(EDITS)) {
  test(`a job whose ${how} is unreadable, and never sent`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user);
    const results = await tab.enqueueAll([1, 2, 3]);
    const { imageId } = results[1];
    await edit(tab, user, imageId, changes);
    assert.deepEqual(await tab.drain(), { done: 2, failed: 0, waiting: 0 });
    await world.arrived(user, [1, 3], [results[0], results[2]]);
    const [{ id, state, error }] = await tab.list();
    assert.deepEqual([id, state, error.code], [imageId, "failed", "job_unreadable"]);
    assert.deepEqual((await tab.image(imageId)).bytes, imageBytes(2), "its image is not lost");
    await tab.discard(imageId);
    assert.deepEqual(await tab.list(), []);
  });
}

test("an automatic outbox does not spin over a job that is another's", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const writer = await world.tab(t, user, { context });
  const { imageId } = await writer.enqueue(1);
  await edit(writer, user, imageId, EDITS["text names another id"]);
  await writer.close();
  const tab = await world.tab(t, user, { context, open: false, options: { automatic: true } });
  await tab.page.clock.install();
  await tab.page.evaluate(() => {
    const { request } = LockManager.prototype;
    window.drains = 0;
    LockManager.prototype.request = function (...args) {
      window.drains += 1;
      return request.apply(this, args);
    };
  });
  await tab.open();
  await tab.drain();
  const before = await tab.page.evaluate(() => window.drains);
  await tab.page.clock.runFor(60_000);
  assert.deepEqual(await tab.page.evaluate(() => window.drains), before, "nothing is looked for any more");
  assert.deepEqual((await tab.list())[0].error.code, "job_unreadable");
});

test("foreign messages on the outbox's channel are no changes, and do no harm", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, options: { automatic: true } });
  const faults = [];
  tab.page.on("pageerror", (error) => faults.push(error));
  const other = await world.tab(t, user, { context, open: false });
  await other.page.evaluate((name) => {
    const channel = new BroadcastChannel(name);
    const job = { id: "a", state: "queued" };
    for (const message of [null, undefined, 1, "queued", [], {}, { state: "queued" }, { id: 1, state: "done" }]) {
      channel.postMessage(message);
    }
    for (const message of [
      { id: "a", state: "queued" },
      { id: "a", state: "queued", job },
      { id: "a", state: "exploded", job },
      { id: "a", state: "progress", sent: "1" },
      { id: "a", state: "toString" },
    ]) {
      channel.postMessage(message);
    }
    channel.postMessage({ id: "last", state: "discarded" });
  }, databaseOf(user));
  await until(async () => (await tab.changes()).some(({ id }) => id === "last"), "the one that is a change");
  assert.deepEqual(
    (await tab.changes()).map(({ outbox, ...change }) => change),
    [{ id: "last", state: "discarded" }],
  );
  assert.deepEqual(faults, []);
  const result = await tab.enqueue(1);
  await tab.empty();
  await world.arrived(user, [1], [result]);
});

test("a foreign message of a pause that there is not stops nothing", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const other = await world.tab(t, user, { context, open: false });
  const result = await tab.enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drained = tab.drain();
  await hold.reached;
  await other.page.evaluate((name) => new BroadcastChannel(name).postMessage({ state: "paused" }), databaseOf(user));
  await until(async () => (await tab.changes()).some(({ state }) => state === "paused"), "the message");
  hold.release();
  assert.deepEqual(await drained, { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1], [result]);
});

test("what only the outbox is meant to see of a job is not told", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const { imageId } = await tab.enqueue(1);
  await edit(tab, user, imageId, { text: { fromALaterVersion: "private", uploadId: "dGVuYW50" } });
  await tab.signOut();
  await tab.drain();
  const told = [...(await tab.list()), ...(await tab.changes()).flatMap(({ job }) => job ?? [])];
  const known = ["id", "position", "storagePath", "prompt", "state", "size", "mimeType", "createdAt", "attempts"];
  known.push("notBefore", "waitAsked");
  for (const job of told) for (const name of Object.keys(job)) assert.ok([...known, "error"].includes(name), name);
  const { error } = (await tab.list())[0];
  assert.deepEqual([error.name, error.code], ["ImagenCloudError", "token_unavailable"]);
});

test("foreign settings of the database do no harm", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, open: false });
  await tab.open();
  const [kept] = await tab.enqueueAll([1]);
  await tab.close();
  await tab.page.evaluate(async (name) => {
    const database = await window.kit.settled(indexedDB.open(name));
    const settings = database.transaction("settings", "readwrite").objectStore("settings");
    settings.put(5, "forgotten");
    await window.kit.settled(settings.put("perhaps", "paused"));
    database.close();
  }, databaseOf(user));
  await tab.open();
  assert.equal(await tab.isPaused(), false);
  assert.equal((await tab.drain()).done, 1);
  await world.arrived(user, [1], [kept]);
});
