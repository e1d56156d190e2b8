// What is done while Supabase takes requests and answers none.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { until } from "../support/until.mjs";
import { importModule, startClock } from "./modules.mjs";
import { fields, file, PNG, pngOf, startBench } from "./support.mjs";

async function start(t) {
  const { Outage } = await importModule("outage.ts");
  return { outage: new Outage(), clock: startClock(t) };
}

const times = (count, work) => Array.from({ length: count }, work);

test("after three tries of two users that hung nobody tries for five seconds, and then one does", async (t) => {
  const { outage, clock } = await start(t);
  for (const user of ["a", "b", "a"]) {
    assert.equal(outage.advise(), "try");
    outage.hung(user);
  }
  assert.deepEqual(new Set(times(100, () => outage.advise())), new Set(["stage"]));
  await clock.advance(4_999);
  assert.equal(outage.advise(), "stage");
  await clock.advance(1);
  assert.deepEqual(
    times(3, () => outage.advise()),
    ["probe", "stage", "stage"],
  );
  outage.hung("c");
  await clock.advance(4_999);
  assert.equal(outage.advise(), "stage");
  await clock.advance(1);
  assert.equal(outage.advise(), "probe");
  outage.answered();
  assert.deepEqual(
    times(3, () => outage.advise()),
    ["try", "try", "try"],
  );
});

test("one user, whatever hangs for it, does not decide for the others", async (t) => {
  const { outage } = await start(t);
  for (let count = 0; count < 1_000; count += 1) outage.hung("a");
  assert.equal(outage.advise(), "try");
  outage.hung("b");
  assert.equal(outage.advise(), "stage");
});

test("a try that tells nothing of its end is followed by another one", async (t) => {
  const { outage, clock } = await start(t);
  for (const user of ["a", "b", "a"]) outage.hung(user);
  await clock.advance(5_000);
  assert.equal(outage.advise(), "probe");
  await clock.advance(3_999);
  assert.equal(outage.advise(), "stage");
  await clock.advance(1);
  assert.equal(outage.advise(), "probe");
});

test("what hung a minute ago is forgotten", async (t) => {
  const { outage, clock } = await start(t);
  for (const user of ["a", "b", "a"]) outage.hung(user);
  await clock.advance(60_000);
  assert.equal(outage.advise(), "try");
});

test("while Supabase hangs, 100 images at once are staged without asking it, but for one", async () => {
  const bench = await startBench({ RETRY_DELAY_SECONDS: "600", SYNC_DEADLINE_MS: "2000" });
  try {
    const users = await Promise.all(times(10, () => bench.supabase.createUser()));
    const post = ({ accessToken }) =>
      bench.post(accessToken, { request: fields({ slug: randomUUID() }), image: file(PNG) });
    await until(async () => (await post(users[0])).status === 201, "an image to arrive within its time");
    bench.front.hangs = true;
    const first = await Promise.all(users.slice(0, 4).map(async (user) => (await post(user)).status));
    assert.deepEqual(new Set(first), new Set([202]));
    const before = bench.front.requests.length;
    const started = performance.now();
    const answers = await Promise.all(times(100, async (_, index) => (await post(users[index % 10])).json()));
    assert.ok(
      answers.every(({ queued }) => queued),
      JSON.stringify(answers.find(({ queued }) => !queued)),
    );
    // One image's try, of one or two requests, in every four seconds that a busy machine takes for them.
    const asked = bench.front.requests.slice(before).length;
    const tries = 1 + Math.ceil((performance.now() - started) / 4_000);
    assert.ok(asked <= 2 * tries, `${asked} requests to Supabase`);
    const { storagePath, imageId } = answers[0];
    const staged = await (await bench.worker.staged()).head(`staged/${imageId}`);
    assert.equal(decodeURIComponent(staged.customMetadata.storagePath), storagePath);
  } finally {
    bench.front.hangs = false;
    await bench.close();
  }
});

test("a site of large images alone is through with staging when Supabase answers again, as slowly as their bytes come there", async () => {
  const bench = await startBench({ RETRY_DELAY_SECONDS: "600", SYNC_DEADLINE_MS: "8000" });
  try {
    const users = await Promise.all(times(4, () => bench.supabase.createUser()));
    const image = file(pngOf(5_000_000));
    const post = async ({ accessToken }) =>
      (await bench.post(accessToken, { request: fields({ slug: randomUUID() }), image })).status;
    bench.front.hangs = true;
    assert.deepEqual(new Set(await Promise.all(users.map(post))), new Set([202]));
    bench.front.hangs = false;
    bench.front.before = async ({ method }) => {
      if (method === "PUT") await new Promise((resolve) => setTimeout(resolve, 3_000));
    };
    assert.equal(await post(users[0]), 202, "nobody tries yet");
    let next = 0;
    const isThere = async () => (await post(users[next++ % users.length])) === 201;
    await until(isThere, "an image to be tried and to arrive", 40_000);
    assert.equal(await post(users[1]), 201);
  } finally {
    bench.front.before = undefined;
    await bench.close();
  }
});
