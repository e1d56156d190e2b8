// What an earlier version left in the browsers of its users is read and delivered by this one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseOf, outboxWorld } from "../support/outbox.mjs";
import { putIntoIndexedDb, readKept, signInKept } from "./kept/load.mjs";

const world = outboxWorld();

test("an outbox of 0.1.0 is found by its owner as the application writes it", async (t) => {
  const user = await world.user();
  const ownerUserId = user.id.toUpperCase();
  const tab = await world.tab(t, user, { sink: { ownerUserId } });
  const result = await tab.enqueue(1);
  const names = await tab.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  assert.deepEqual(names, [databaseOf({ id: ownerUserId })]);
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1], [result]);
});

test("a database that 0.1.0 wrote, with jobs in every state, is listed and drained", async (t) => {
  const kept = await readKept("version-1");
  const user = await signInKept(world.supabase, kept);
  const tab = await world.tab(t, user, { open: false });
  await putIntoIndexedDb(tab, kept);
  await tab.open();
  const jobs = await tab.list();
  assert.deepEqual(
    jobs.map(({ id, storagePath, size, state }) => ({ id, storagePath, size, state })),
    kept.jobs.map(({ id, storagePath, size, text }) => ({ id, storagePath, size, state: JSON.parse(text).state })),
  );
  const states = ["failed", "uploaded", "handed-over", "uploading", "uploading", "queued"];
  assert.deepEqual(
    jobs.map(({ state }) => state),
    states,
  );

  // Of two jobs only the row was missing: their objects are in the bucket.
  for (const { id, storagePath } of jobs.slice(0, 2)) {
    const uploaded = await fetch(`${world.supabase.url}/storage/v1/object/imagen-generated/${storagePath}`, {
      method: "POST",
      headers: { authorization: `Bearer ${world.supabase.serviceKey}`, "content-type": "image/png" },
      body: Buffer.from(kept.images[id], "base64"),
    });
    assert.equal(uploaded.status, 200, await uploaded.text());
    await tab.retry(id); // the one was refused, the other told to wait for an hour
  }
  assert.deepEqual(await tab.drain(), { done: 6, failed: 0, waiting: 0 });
  assert.deepEqual(await tab.list(), []);
  const results = jobs.map(({ id }) => ({ imageId: id }));
  await world.arrived(user, [3, 4, 1, 200, 500, 6], results);
  const sent = world.recorder.requests.filter(({ method, image }) => ["PUT", "PATCH"].includes(method) && image);
  for (const { storagePath } of jobs.slice(0, 2)) {
    assert.ok(!sent.some(({ image }) => image === storagePath), "what was uploaded is not sent again");
  }
});

test("a database of 0.1.0 is brought up to date, however long that takes", async (t) => {
  const kept = await readKept("version-1");
  const user = await world.user();
  // The patience for an opening ends when the database has begun to be brought up to date.
  const init = () => {
    const start = window.setTimeout;
    const late = [];
    window.setTimeout = (work, ms, ...args) => (ms === 10_000 ? late.push(work) && 0 : start(work, ms, ...args));
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (...args) {
      const request = open.apply(this, args);
      request.addEventListener("upgradeneeded", () => {
        for (const work of late.splice(0)) start(work, 0, new Error("the patience is at its end"));
      });
      return request;
    };
  };
  const tab = await world.tab(t, user, { init, open: false });
  const mine = JSON.parse(JSON.stringify(kept).replaceAll(kept.user, user.id));
  await putIntoIndexedDb(tab, mine);
  await tab.open();
  assert.equal((await tab.list()).length, kept.jobs.length);
});
