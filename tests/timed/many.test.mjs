// Many images in one call that is aborted: it ends at once, and tells of every object that it left.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertInOrder, check, MODES, recorder, requests, setUp, start, uuid } from "../support/many.mjs";

setUp();

/** Enough for an abort to meet some in every state. */
const COUNT = 40;
/** On the busiest machine. */
const AT_ONCE_MS = 3000;

for (const mode of Object.keys(MODES)) {
  test(`a call that is aborted half-way is finished by the same call again (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    const named = requests((number) => ({ imageId: uuid(`${user.id} ${number}`) })).slice(0, COUNT);
    const controller = new AbortController();
    let abortedAt;
    const onProgress = ({ sent, total }) => {
      if (sent < total / 2 || abortedAt) return;
      abortedAt = performance.now();
      controller.abort();
    };
    const outcomes = await sink.syncMany(named, { signal: controller.signal, onProgress });
    const tookMs = performance.now() - abortedAt;
    t.diagnostic(`${tookMs.toFixed(1)} ms`);
    assert.ok(tookMs < AT_ONCE_MS, `${tookMs} ms`);
    assert.equal(outcomes.length, COUNT);
    for (const { ok, error } of outcomes) assert.deepEqual([ok, error.code], [false, "aborted"]);
    const { orphans, rows } = await check(user, outcomes);
    assert.equal(rows, 0);
    const mentioned = outcomes.flatMap(({ error }) => error.storagePath ?? []);
    assert.deepEqual(
      orphans.filter((path) => !mentioned.includes(path)),
      [],
      "no object that no outcome tells of",
    );

    for (const time of ["again", "and once more"]) {
      const again = await sink.syncMany(named);
      assertInOrder(user, again);
      assert.deepEqual(
        again.map(({ imageId }) => imageId),
        named.map(({ imageId }) => imageId),
        time,
      );
      const report = await check(user, again);
      assert.deepEqual(report.problems, [], time);
      assert.deepEqual([report.rows, report.objects], [COUNT, COUNT], time);
    }
  });

  test(`a call that is aborted while its rows are inserted tells of every object (${mode})`, async (t) => {
    const { user, sink } = await start(t, mode);
    const few = requests((number) => ({ imageId: uuid(`${user.id} ${number}`) })).slice(0, 20);
    const controller = new AbortController();
    const hold = recorder.hold({ method: "POST", image: user.id, at: "answer" });
    const call = sink.syncMany(few, { signal: controller.signal });
    await hold.reached; // the rows are there, and nobody knows
    const abortedAt = performance.now();
    controller.abort();
    const outcomes = await call;
    t.diagnostic(`${(performance.now() - abortedAt).toFixed(1)} ms, while the answer is held`);
    hold.release();
    for (const { ok, error } of outcomes) {
      assert.deepEqual([ok, error.code, error.stage], [false, "aborted", "insert"]);
      assert.ok(error.storagePath && error.imageId);
    }
    const again = await sink.syncMany(few);
    const report = await check(user, again);
    assert.deepEqual(report.problems, []);
    assert.deepEqual([report.rows, report.objects], [few.length, few.length]);
  });
}
