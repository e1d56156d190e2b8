// What `enqueue` accepted outlives the page and the browser, and arrives with every byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createProfile, startOnProfile } from "../support/browser.mjs";
import { databaseOf, imageBytes, openTab, outboxWorld, pathOf, range } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();

test("an image is enqueued, drained, and gone from the outbox once its row is there", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const result = await tab.enqueue(1);
  assert.equal(result.storagePath, pathOf(user, 1));
  assert.match(result.imageId, /^[0-9a-f-]{36}$/);
  const [job, ...others] = await tab.list();
  assert.deepEqual(others, []);
  assert.deepEqual(
    { ...job, createdAt: undefined },
    {
      id: result.imageId,
      position: 1,
      storagePath: result.storagePath,
      prompt: job.prompt,
      state: "queued",
      size: imageBytes(1).length,
      mimeType: "image/png",
      createdAt: undefined,
      attempts: 0,
      notBefore: 0,
      waitAsked: false,
    },
  );
  assert.ok(Math.abs(job.createdAt - Date.now()) < 60_000);

  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  assert.deepEqual(await tab.list(), []);
  await world.arrived(user, [1], [result]);
  const left = JSON.parse(await tab.dump()).find(({ name }) => name === databaseOf(user));
  assert.deepEqual([left.stores.jobs.keys, left.stores.images.keys], [[], []], "neither a job nor its bytes are left");
});

test("an outbox drains on its own after an enqueue", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { automatic: true } });
  await tab.enqueue(1);
  await tab.empty();
  await world.arrived(user, [1]);
});

test("images that were enqueued offline survive a reload and arrive when the browser is online", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { automatic: true } });
  world.recorder.offline(true);
  const results = await tab.enqueueAll(range(3));
  await tab.reload();
  await tab.open();
  assert.deepEqual(
    (await tab.list()).map(({ id }) => id),
    results.map(({ imageId }) => imageId),
  );
  world.recorder.offline(false);
  await tab.page.evaluate(() => window.dispatchEvent(new Event("online")));
  await tab.empty();
  await world.arrived(user, range(3), results);
});

test("the browser is asked once to keep the storage", async (t) => {
  const init = () => {
    StorageManager.prototype.persist = async () => {
      window.asked = (window.asked ?? 0) + 1;
      return true;
    };
  };
  const tab = await world.tab(t, await world.user(), { init });
  const asked = () => tab.page.evaluate(() => window.asked ?? 0);
  assert.equal(await asked(), 0, "not before there is something to keep");
  await tab.enqueueAll([1, 2]);
  await until(async () => (await asked()) > 0, "the question");
  assert.equal(await asked(), 1);
  await tab.reload();
  await tab.open();
  await tab.enqueue(3);
  await tab.drain();
  assert.equal(await asked(), 0);
});

test("the list is in the order of enqueueing, and a drain takes the oldest first", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { concurrency: 1 } });
  const numbers = [5, 3, 9, 1];
  await tab.enqueueAll(numbers);
  const paths = numbers.map((number) => pathOf(user, number));
  assert.deepEqual(
    (await tab.list()).map(({ storagePath }) => storagePath),
    paths,
  );
  await tab.drain();
  const puts = world.recorder.requests.filter(({ method, image }) => method === "PUT" && image?.startsWith(user.id));
  assert.deepEqual(
    puts.map(({ image }) => image),
    paths,
  );
});

test("a job's image can be had back", async (t) => {
  const tab = await world.tab(t, await world.user());
  const { imageId } = await tab.enqueue(7);
  const { type, bytes } = await tab.image(imageId);
  assert.equal(type, "image/png");
  assert.deepEqual(bytes, imageBytes(7));
  await assert.rejects(tab.image("00000000-0000-4000-8000-000000000000"), { code: "job_missing", stage: "outbox" });
});

test("several jobs are worked on at once, as many as concurrency says", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { concurrency: 2 } });
  await tab.enqueueAll(range(4));
  const holds = [
    world.recorder.hold({ method: "PUT", at: "request" }),
    world.recorder.hold({ method: "PUT", at: "request" }),
  ];
  const drained = tab.drain();
  await Promise.all(holds.map(({ reached }) => reached));
  const states = (await tab.list()).map(({ state }) => state);
  for (const { release } of holds) release();
  assert.deepEqual(states, ["uploading", "uploading", "queued", "queued"]);
  assert.equal((await drained).done, 4);
  await world.arrived(user, range(4));
});

test("an image survives the browser's death right after its enqueue resolved", async (t) => {
  const user = await world.user();
  const profile = await createProfile();
  t.after(() => profile.remove());
  const settings = { url: world.site.url, supabase: world.supabase, target: world.recorder.url, user };
  world.recorder.offline(true);
  const results = [];
  for (const number of range(3)) {
    const browser = await startOnProfile(profile.folder);
    t.after(() => browser.kill());
    const tab = await openTab(browser.context, settings);
    results.push(await tab.enqueue(number));
    await browser.kill();
  }
  world.recorder.offline(false);
  const browser = await startOnProfile(profile.folder);
  t.after(() => browser.kill());
  const tab = await openTab(browser.context, settings);
  assert.equal((await tab.list()).length, 3);
  assert.equal((await tab.drain()).done, 3);
  assert.deepEqual(await tab.list(), []);
  await world.arrived(user, range(3), results);
});

test("an enqueue is one transaction, one look at the Blob and one copy, each asked for when the one before is done", async (t) => {
  // Otherwise the first has the storage kept, which takes two transactions more, at any time.
  const init = () => delete StorageManager.prototype.persist;
  const tab = await world.tab(t, await world.user(), { init });
  await tab.enqueue(1);
  const steps = await tab.page.evaluate(async () => {
    const steps = [];
    const undo = [];
    const watch = (prototype, method, name) => {
      const work = prototype[method];
      undo.push(() => {
        prototype[method] = work;
      });
      prototype[method] = function (...args) {
        steps.push(name);
        return work.apply(this, args);
      };
    };
    watch(IDBDatabase.prototype, "transaction", "transaction");
    watch(Blob.prototype, "slice", "slice");
    watch(Blob.prototype, "arrayBuffer", "read");
    watch(Cache.prototype, "put", "copy");
    await window.kit.run("enqueue", "mine", 2, {});
    for (const step of undo) step();
    return steps;
  });
  assert.deepEqual(steps, ["read", "transaction", "copy"]);
});
