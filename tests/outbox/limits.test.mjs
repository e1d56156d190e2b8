// What an outbox refuses to take, and what it takes without a second job.
import assert from "node:assert/strict";
import { test } from "node:test";
import { imageBytes, outboxWorld, pathOf, range } from "../support/outbox.mjs";

const world = outboxWorld();
const ID = "5f0c2b9e-2222-4333-8444-555566667777";
const OTHER = "6a1d3c0f-2222-4333-8444-555566667777";

test("more images than maxJobs are refused with outbox_full, until one has arrived", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { maxJobs: 2 } });
  await tab.enqueueAll([1, 2]);
  await assert.rejects(tab.enqueue(3), {
    code: "outbox_full",
    stage: "outbox",
    retryable: true,
    storagePath: pathOf(user, 3),
  });
  assert.equal((await tab.list()).length, 2);
  await tab.drain();
  await tab.enqueue(3);
  await tab.drain();
  await world.arrived(user, [1, 2, 3]);
});

test("more bytes than maxBytes are refused with outbox_full", async (t) => {
  const user = await world.user();
  const size = imageBytes(1).length;
  const tab = await world.tab(t, user, { options: { maxBytes: 2 * size } });
  await tab.enqueueAll([1, 2]);
  await assert.rejects(tab.enqueue(3), { code: "outbox_full" });
  await tab.discard((await tab.list())[0].id);
  await tab.enqueue(3);
  await tab.drain();
  await world.arrived(user, [2, 3]);
});

test("several tabs together do not get past maxJobs", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const options = { maxJobs: 4 };
  const tabs = [await world.tab(t, user, { context, options }), await world.tab(t, user, { context, options })];
  const outcomes = await Promise.allSettled(range(10).map((number) => tabs[number % 2].enqueue(number)));
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 4);
  for (const { reason } of outcomes) if (reason) assert.equal(reason.code, "outbox_full");
  assert.equal((await tabs[0].list()).length, 4);
});

test("another image for a path that is on its way is refused with path_taken", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const first = await tab.enqueue(1);
  await assert.rejects(tab.enqueue(1), { code: "path_taken", stage: "outbox", storagePath: pathOf(user, 1) });
  await assert.rejects(tab.enqueue(1, { imageId: ID }), { code: "path_taken", imageId: ID });
  await tab.drain();
  await world.arrived(user, [1], [first]);
  await tab.enqueue(1); // once it has arrived, the path is free
  assert.equal((await tab.list()).length, 1);
});

test("the same request with the same imageId is no second job", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const first = await tab.enqueue(1, { imageId: ID });
  const second = await tab.enqueue(1, { imageId: ID });
  assert.deepEqual(second, first);
  assert.equal((await tab.list()).length, 1);
  await tab.drain();
  await world.arrived(user, [1], [first]);
});

test("an image that has arrived may be enqueued again under its imageId, and is not there twice", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const first = await tab.enqueue(1, { imageId: OTHER });
  await tab.drain();
  await tab.enqueue(1, { imageId: OTHER });
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1], [first]);
});

test("an imageId that is on its way to another path is refused with id_taken", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  await tab.enqueue(1, { imageId: ID });
  await assert.rejects(tab.enqueue(2, { imageId: ID }), { code: "id_taken", stage: "outbox" });
  assert.equal((await tab.list()).length, 1);
});

const BAD = {
  "an empty slug": [{ slug: "" }, { code: "invalid_request", stage: "request", field: "slug" }],
  "a slug that leaves its folder": [{ slug: "../x" }, { code: "invalid_request", field: "slug" }],
  "an imageId that is no UUID": [{ imageId: "x" }, { code: "invalid_request", field: "imageId" }],
  "a seed that is no integer": [{ seed: 1.5 }, { code: "invalid_request", field: "seed" }],
  "a field that does not exist": [{ sede: 1 }, { code: "invalid_request", field: "sede" }],
  "an image that is none": [{ image: "text" }, { code: "invalid_image", field: "image" }],
  "bytes of another type than declared": [{ mimeType: "image/jpeg" }, { code: "invalid_image" }],
};
for (const [what, [fields, expected]] of Object.entries(BAD)) {
  test(`${what} is refused by enqueue as by sync, and nothing is stored`, async (t) => {
    const tab = await world.tab(t, await world.user());
    await assert.rejects(tab.enqueue(1, fields), { name: "ImagenCloudError", own: true, ...expected });
    assert.deepEqual(await tab.list(), []);
  });
}

test("bad options are refused by their name", async (t) => {
  const tab = await world.tab(t, await world.user());
  for (const options of [{ maxJob: 1 }, { concurrency: 0 }, { maxBytes: -1 }, { maxJobs: "many" }]) {
    const [field] = Object.keys(options);
    await assert.rejects(tab.open({ options }), { code: "invalid_config", stage: "config", field });
  }
});

test("retry and discard of a job that is not there are refused with job_missing", async (t) => {
  const tab = await world.tab(t, await world.user());
  for (const method of [tab.retry, tab.discard, tab.image]) {
    await assert.rejects(method(ID), { code: "job_missing", stage: "outbox" });
  }
});

test("image, retry and discard find a job by its id in any way of writing it", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  for (const write of [
    (id) => id.toUpperCase(),
    (id) => `{${id}}`,
    (id) => id.replaceAll("-", ""),
    (id) => `urn:uuid:${id}`,
  ]) {
    const { imageId } = await tab.enqueue(1);
    const id = write(imageId);
    assert.deepEqual((await tab.image(id)).bytes, imageBytes(1), id);
    await tab.retry(id);
    await tab.discard(id);
    assert.deepEqual(await tab.list(), [], id);
  }
});

test("clear forgets all jobs and images", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const results = await tab.enqueueAll(range(3));
  await tab.clear();
  assert.deepEqual(await tab.list(), []);
  const discarded = (await tab.changes()).filter(({ state }) => state === "discarded").map(({ id }) => id);
  assert.deepEqual(new Set(discarded), new Set(results.map(({ imageId }) => imageId)));
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 0 });
  await world.arrived(user, []);
});
