// A tab that dies in any state of a job: the other tab, or the next start, finishes the job, once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseOf, outboxWorld, range } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();

/** Where the tab is when it dies: at a request that is held, or before there is one. */
const MOMENTS = {
  "before its upload began": undefined,
  "while it uploads": { method: "PUT", at: "request" },
  "after the upload, before its answer": { method: "PUT", at: "answer" },
  "before the insert": { method: "POST", at: "request" },
  "after the insert's commit, before its answer": { method: "POST", at: "answer" },
};
/** The job's state in the database at that moment. */
const STATES = ["queued", "uploading", "uploading", "uploaded", "uploaded"];

/** Enqueues an image and drains up to the moment. */
async function reach(tab, user, moment) {
  const result = await tab.enqueue(1);
  if (!moment) return { result, release: () => {} };
  const hold = world.recorder.hold({ ...moment, image: user.id });
  tab.drain().catch(() => {}); // dies with the tab
  await hold.reached;
  return { result, release: hold.release };
}

for (const [index, [when, moment]] of Object.entries(MOMENTS).entries()) {
  test(`a tab killed ${when}: the next start finishes its job`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const tab = await world.tab(t, user, { context });
    const { result, release } = await reach(tab, user, moment);
    assert.equal((await tab.list())[0].state, STATES[index]);
    await tab.kill();
    release();

    const next = await world.tab(t, user, { context, options: { automatic: true } });
    await next.empty();
    await world.arrived(user, [1], [result]);
  });

  test(`a tab killed ${when}: the other tab finishes its job`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const other = await world.tab(t, user, { context });
    const tab = await world.tab(t, user, { context });
    const { result, release } = await reach(tab, user, moment);
    const drained = other.drain();
    // That it is being uploaded is told, not stored; where no tab drains, the other one may be done with it already.
    const isTold = async () => (await other.list())[0].state === STATES[index];
    if (moment) await until(isTold, "the job's state in the other tab");
    await tab.kill();
    release();

    assert.deepEqual(await drained, { done: 1, failed: 0, waiting: 0 });
    assert.deepEqual(await other.list(), []);
    await world.arrived(user, [1], [result]);
  });
}

for (const [when, answer] of Object.entries({
  "while it uploads": undefined,
  "while its job waits for another try": { method: "PUT", status: 503, body: {} },
})) {
  test(`a tab killed ${when}: another tab that nobody looks at finishes its job by itself`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const settings = { context, options: { automatic: true }, sink: { maxRetries: 0, initialBackoffMs: 200 } };
    const other = await world.tab(t, user, settings);
    const tab = await world.tab(t, user, settings);
    const relent = answer && world.recorder.answer({ ...answer, image: user.id });
    const hold = answer ? undefined : world.recorder.hold({ method: "PUT", at: "request", image: user.id });
    const result = await tab.enqueue(1);
    if (hold) await hold.reached;
    else await until(async () => (await tab.list())[0].attempts > 0, "an attempt");
    await tab.kill();
    relent?.();
    hold?.release();
    await other.empty();
    await world.arrived(user, [1], [result]);
  });
}

test("what a killed tab has uploaded is not uploaded again", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const { release } = await reach(tab, user, { method: "POST", at: "request" });
  await tab.kill();
  release();
  const next = await world.tab(t, user, { context });
  assert.equal((await next.drain()).done, 1);
  const uploads = world.recorder.requests.filter(({ method, image }) => method === "PUT" && image?.startsWith(user.id));
  assert.equal(uploads.length, 1);
  await world.arrived(user, [1]);
});

test("a tab that is killed while it enqueues leaves whole jobs only", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const enqueued = range(40).map((number) => tab.enqueue(number).catch(() => undefined));
  await enqueued[3];
  await tab.kill();
  const accepted = (await Promise.all(enqueued)).filter(Boolean);

  const next = await world.tab(t, user, { context });
  const jobs = await next.list();
  const { stores } = JSON.parse(await next.dump()).find(({ name }) => name === databaseOf(user));
  const ids = jobs.map(({ id }) => id);
  assert.deepEqual([...stores.images.keys].sort(), [...ids].sort(), "each job has its image");
  for (const { imageId } of accepted) assert.ok(ids.includes(imageId), "what was accepted is there");
  await next.drain();
  const numbers = jobs.map(({ storagePath }) => Number(/(\d+)\.png$/.exec(storagePath)[1]));
  await world.arrived(
    user,
    numbers,
    ids.map((imageId) => ({ imageId })),
  );
});

test("a tab that is closed while it drains leaves its jobs to the other tab at once", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const other = await world.tab(t, user, { context, options: { automatic: true } });
  const tab = await world.tab(t, user, { context, options: { automatic: true } });
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  await tab.enqueueAll([1, 2, 3, 4]);
  await hold.reached;
  const drained = other.drain();
  await tab.page.close();
  hold.release();
  await drained;
  await until(async () => (await other.list()).length === 0, "an empty outbox");
  await world.arrived(user, [1, 2, 3, 4]);
});
