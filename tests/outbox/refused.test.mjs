// Images that are refused for good wait for their user's decision and hold nobody up; what may pass is tried again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, pathOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
const OTHER = "6a1d3c0f-2222-4333-8444-555566667777";
const storage = (statusCode, error, code) => ({ statusCode, error, message: error, code });

/** Storage's final answers, which are HTTP 400 with the real status in their body, and PostgREST's. */
const REFUSALS = {
  too_large: {
    method: "PUT",
    status: 400,
    body: storage("413", "Payload too large", "EntityTooLarge"),
    stage: "upload",
  },
  type_not_allowed: {
    method: "PUT",
    status: 400,
    body: storage("415", "invalid_mime_type", "InvalidMimeType"),
    stage: "upload",
  },
  forbidden: {
    method: "PUT",
    status: 400,
    body: storage("403", "Unauthorized", "AccessDenied"),
    message: "new row violates row-level security policy",
    stage: "upload",
  },
  rejected: {
    method: "POST",
    status: 409,
    body: { code: "23503", message: "violates foreign key constraint", details: null, hint: null },
    stage: "insert",
  },
};

for (const [code, { method, status, body, message = body.message, stage }] of Object.entries(REFUSALS)) {
  test(`${code} is final: the job is kept as failed, holds nobody up, and retry delivers it later`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { options: { concurrency: 1 } });
    const results = await tab.enqueueAll([1, 2, 3]);
    const image = pathOf(user, 1);
    const relent = world.recorder.answer({ method, image, status, body: { ...body, message } });
    assert.deepEqual(await tab.drain(), { done: 2, failed: 1, waiting: 0 });
    const [job, ...others] = await tab.list();
    assert.deepEqual(others, []);
    assert.deepEqual([job.id, job.state, job.error.code, job.error.stage], [results[0].imageId, "failed", code, stage]);
    assert.ok(job.error.message.includes(message), job.error.message);
    assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 0 }, "no drain tries it on its own");

    relent();
    await tab.retry(job.id);
    await tab.drain();
    assert.deepEqual(await tab.list(), []);
    await world.arrived(user, [1, 2, 3], results);
  });
}

test("a refused job and the word of its failure give back all that was enqueued", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const sidecar = { workflow: [1.5, null, { __proto__: "no" }], big: 1e21 };
  const given = {
    model: "m",
    steps: 4,
    width: 5,
    height: 6,
    latencyMs: 7,
    costUsdEstimate: 0.1,
    sidecar,
    columns: { rating: 4.5 },
  };
  const { imageId } = await tab.enqueue(1, given);
  world.recorder.answer({ method: "PUT", image: pathOf(user, 1), ...REFUSALS.too_large });
  await tab.drain();
  const { request, ...job } = await tab.job(imageId.toUpperCase());
  const fixed = { imageId, date: "2026-05-11", slug: "lighthouse", ext: "png", mimeType: "image/png" };
  assert.deepEqual(request, { ...fixed, seed: 1n, prompt: "p1", backend: "b", ...given });
  assert.deepEqual([job], await tab.list());
  const failed = (await tab.changes()).filter(({ state }) => state === "failed");
  assert.deepEqual(failed[0].job, { ...job, request });
  await assert.rejects(tab.job(OTHER), { code: "job_missing" });
});

test("of many requests each has its outcome, and one that is refused keeps no other out", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const outcomes = await tab.enqueueMany([1, 2, null, 3, 4, 5, 6]);
  const [refused] = outcomes.splice(2, 1);
  assert.deepEqual([refused.ok, refused.error.code], [false, "invalid_request"]);
  assert.ok(outcomes.every(({ ok }) => ok));
  assert.deepEqual(await tab.drain(), { done: 6, failed: 0, waiting: 0 });
  await world.arrived(user, [1, 2, 3, 4, 5, 6], outcomes);
});

test("a refused job is put right: it goes to a new path, and its old object goes", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const { imageId, storagePath } = await tab.enqueue(1, { sidecar: { steps: [1, 2] } });
  const relent = world.recorder.answer({ method: "POST", image: pathOf(user, 1), ...REFUSALS.rejected });
  assert.equal((await tab.drain()).failed, 1);
  relent();
  await assert.rejects(tab.retry(imageId, { imageId: OTHER }), { code: "invalid_request", field: "imageId" });
  await assert.rejects(tab.retry(imageId, { slug: "../x" }), { code: "invalid_request", field: "slug" });
  await tab.retry(imageId, { slug: "mended", prompt: "another" });
  const { request, ...job } = await tab.job(imageId);
  assert.deepEqual([job.state, request.slug, request.prompt], ["queued", "mended", "another"]);
  assert.deepEqual(request.sidecar, { steps: [1, 2] });
  await assert.rejects(tab.retry(imageId, { slug: "again" }), { code: "invalid_state" });
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  const paths = (await world.supabase.sql("select storage_path from imagen.images where id = $1", [imageId])).map(
    ({ storage_path }) => storage_path,
  );
  assert.deepEqual(paths, [storagePath.replace("lighthouse", "mended")]);
  const names = await world.supabase.sql("select name from storage.objects where name like $1", [`${user.id}/%`]);
  assert.deepEqual(
    names.map(({ name }) => name),
    paths,
  );
});

test("an image that is removed offline goes when there is a line again, also after a crash", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const there = await tab.enqueue(1);
  assert.equal((await tab.drain()).done, 1);
  const [waits] = await tab.enqueueAll([2, 3]);
  world.recorder.offline(true);
  for (const { imageId } of [there, waits]) await tab.remove(imageId);
  const jobs = await tab.list();
  assert.deepEqual(
    jobs.map(({ removes, storagePath, state, size }) => [removes, storagePath, state, size > 0]),
    [
      [undefined, pathOf(user, 3), "queued", true],
      [there.imageId, "", "queued", false],
      [waits.imageId, pathOf(user, 2), "queued", false],
    ],
  );
  await assert.rejects(tab.job(waits.imageId), { code: "job_missing" });
  await assert.rejects(tab.image(jobs[2].id), { code: "invalid_state" });
  await assert.rejects(tab.enqueue(2), { code: "path_taken" });
  await assert.rejects(tab.enqueue(4, { imageId: waits.imageId }), { code: "id_taken" });
  await assert.rejects(tab.remove("2"), { code: "invalid_request", field: "imageId" });
  assert.equal((await tab.drain()).waiting, 3);
  await tab.kill();

  world.recorder.offline(false);
  const next = await world.tab(t, user, { context });
  assert.deepEqual(await next.drain(), { done: 3, failed: 0, waiting: 0 });
  await world.arrived(user, [3]);
  const ends = (await next.changes()).filter(({ state }) => state === "done").map(({ id }) => id);
  assert.deepEqual(ends.toSorted(), jobs.map(({ id }) => id).toSorted());
  // What is done has freed its path and its id.
  await next.enqueue(2, { imageId: waits.imageId });
  assert.equal((await next.drain()).done, 1);
  await world.arrived(user, [2, 3]);
});

test("a discarded job is forgotten and not sent", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const [refused] = await tab.enqueueAll([1, 2]);
  const relent = world.recorder.answer({
    method: "PUT",
    image: pathOf(user, 1),
    ...REFUSALS.too_large,
  });
  await tab.drain();
  relent();
  await tab.discard(refused.imageId);
  assert.deepEqual(await tab.list(), []);
  await assert.rejects(tab.image(refused.imageId), { code: "job_missing" });
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 0 });
  await world.arrived(user, [2]);
});

test("a job that is discarded while it is being sent does not come back", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  const { imageId } = await tabs[0].enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "answer", image: user.id });
  const drained = tabs[0].drain();
  await hold.reached;
  await tabs[1].discard(imageId);
  hold.release();
  const { waiting, failed } = await drained;
  assert.deepEqual([waiting, failed], [0, 0]);
  assert.deepEqual(await tabs[0].list(), []);
});

test("an outbox that is closed while it forgets jobs forgets them all the same", async (t) => {
  for (const method of ["discard", "clear"]) {
    const tab = await world.tab(t, await world.user());
    const { imageId } = await tab.enqueue(1);
    const forgotten = tab[method](imageId);
    await Promise.all([forgotten, tab.close()]);
    await tab.open();
    assert.deepEqual(await tab.list(), []);
  }
});

test("what may pass waits for another try and counts its attempts", async (t) => {
  const user = await world.user();
  const settings = { sink: { maxRetries: 0, initialBackoffMs: 60_000, maxBackoffMs: 120_000 } };
  const tab = await world.tab(t, user, settings);
  const [stuck] = await tab.enqueueAll([1, 2]);
  const relent = world.recorder.answer({ method: "PUT", image: pathOf(user, 1), status: 503, body: {} });
  const before = Date.now();
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 1 });
  const [job] = await tab.list();
  assert.deepEqual([job.id, job.state, job.attempts, job.error.code], [stuck.imageId, "queued", 1, "unavailable"]);
  assert.ok(job.notBefore >= before + 30_000 && job.notBefore <= Date.now() + 120_000, `${job.notBefore - before}`);
  assert.equal(job.waitAsked, false);

  relent();
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 }, "a drain that is asked for comes early");
  await world.arrived(user, [1, 2]);
});

test("a job that waits is tried again on its own", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: { maxRetries: 0 }, options: { automatic: true } });
  const relent = world.recorder.answer({ method: "PUT", image: user.id, status: 503, body: {} });
  await tab.enqueue(1);
  await until(async () => (await tab.list())[0].attempts >= 2, "two attempts");
  relent();
  await tab.empty();
  await world.arrived(user, [1]);
});

test("a failed insert is tried again without a second upload", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: { maxRetries: 0 } });
  await tab.enqueue(1);
  const relent = world.recorder.answer({ method: "POST", image: user.id, status: 503, body: {} });
  await tab.drain();
  assert.equal((await tab.list())[0].state, "uploaded");
  relent();
  await tab.drain();
  const uploads = world.recorder.requests.filter(({ method, image }) => method === "PUT" && image?.startsWith(user.id));
  assert.equal(uploads.length, 1);
  await world.arrived(user, [1]);
});
