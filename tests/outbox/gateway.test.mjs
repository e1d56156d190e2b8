// A gateway before the service that answers in its place: a firewall that dislikes one image, a captive portal.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, pathOf } from "../support/outbox.mjs";

const world = outboxWorld();
const blocked = { status: 403, headers: { "content-type": "text/html" }, body: "<html>Blocked</html>" };

for (const method of ["PUT", "POST"]) {
  test(`an image that a firewall turns away at its ${method} waits, and the others arrive`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { options: { concurrency: 1 } });
    const results = await tab.enqueueAll([1, 2, 3]);
    const relent = world.recorder.answer({ method, image: pathOf(user, 1), ...blocked });
    assert.deepEqual(await tab.drain(), { done: 2, failed: 0, waiting: 1 });
    const [job] = await tab.list();
    assert.deepEqual([job.error.code, job.error.status], ["unavailable", 403]);
    assert.deepEqual(
      Object.keys(job).filter((name) => /suspect|turned/i.test(name)),
      [],
      "how it is counted is nobody's business",
    );
    relent();
    assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
    await world.arrived(user, [1, 2, 3], results);
  });
}

test("an image that is turned away five times, while others get through, is failed", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { concurrency: 1 } });
  await tab.enqueueAll([1]);
  t.after(world.recorder.answer({ method: "PUT", image: pathOf(user, 1), ...blocked }));
  for (const number of [2, 3, 4, 5]) {
    assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 1 }, "alone it is not to blame");
    await tab.enqueueAll([number]);
    assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 1 });
  }
  await tab.drain();
  await tab.enqueueAll([6]);
  assert.deepEqual(await tab.drain(), { done: 1, failed: 1, waiting: 0 });
  const [job] = await tab.list();
  assert.deepEqual([job.state, job.error.code], ["failed", "unavailable"]);
});

test("a captive portal stops the drain after three images, and none is to blame", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { options: { concurrency: 1 } });
  const numbers = [1, 2, 3, 4, 5];
  const results = await tab.enqueueAll(numbers);
  const relents = numbers.map((number) =>
    world.recorder.answer({ method: "PUT", image: pathOf(user, number), ...blocked }),
  );
  for (let round = 0; round < 7; round += 1) {
    assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 5, stopped: "unavailable" });
  }
  for (const relent of relents) relent();
  assert.deepEqual(await tab.drain(), { done: 5, failed: 0, waiting: 0 });
  await world.arrived(user, numbers, results);
});
