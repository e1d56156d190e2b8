// A page that is left for the back/forward cache, where WebKit keeps most pages, and shown again as it was.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";
import { startWebkit } from "../support/webkit.mjs";

const world = outboxWorld(undefined, startWebkit);
/** WebKit cancels a page's requests when a navigation begins, before the page is left: it waits then for its next try. */
const PATIENT = { initialBackoffMs: 60_000, maxBackoffMs: 60_000 };

test("a page that is left in the midst of all it does keeps no other out of the outbox, and goes on when it is shown again", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: PATIENT, options: { automatic: true } });
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const results = [await tab.enqueue(1)];
  await hold.reached;
  await tab.page.evaluate(async () => {
    window.isLeft = true;
    const { get } = IDBObjectStore.prototype;
    const isUnderWay = new Promise((resolve) => {
      IDBObjectStore.prototype.get = function (...args) {
        IDBObjectStore.prototype.get = get;
        // Each answer is followed by a question: by itself this transaction does not end.
        const next = () => {
          resolve();
          const request = get.apply(this, args);
          request.addEventListener("success", next);
          return request;
        };
        return next();
      };
    });
    window.kit.run("call", "mine", "isPaused").then(() => (window.isAnswered = true));
    await isUnderWay;
  });

  await tab.load(`${world.site.url}/?second`);
  await tab.open();
  results.push(await tab.enqueue(2));
  hold.release();
  await tab.empty();
  await world.arrived(user, [1, 2], results);

  await tab.page.evaluate(() => history.back()).catch(() => undefined);
  await until(() => tab.page.evaluate(() => window.isLeft), "the first page, as it was");
  await until(() => tab.page.evaluate(() => window.isAnswered), "what was under way, once more");
  results.push(await tab.enqueue(3));
  await tab.empty();
  await world.arrived(user, [1, 2, 3], results);
  assert.equal((await tab.drain()).waiting, 0, "it gets the lock");
});

test("a drain under way in a page that is left lets another page drain, and ends when its page is shown again", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: PATIENT });
  const result = await tab.enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  await tab.page.evaluate(() => {
    window.isLeft = true;
    window.kit.run("call", "mine", "drain").then((drained) => (window.drained = drained));
  });
  await hold.reached;

  await tab.load(`${world.site.url}/?second`);
  await tab.open();
  hold.release();
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1], [result]);

  await tab.page.evaluate(() => history.back()).catch(() => undefined);
  await until(() => tab.page.evaluate(() => window.isLeft), "the first page, as it was");
  await until(() => tab.page.evaluate(() => window.drained), "the end of its drain");
  const { value } = await tab.page.evaluate(() => window.drained);
  assert.deepEqual(value, { done: 0, failed: 0, waiting: 0 });
  assert.deepEqual(await tab.drain(), value);
});

test("a drain that waits for another page's, in a page that is left, has its turn when its page is shown again", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const [tab, other] = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  const result = await tab.enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drained = other.drain();
  await hold.reached;
  await tab.page.evaluate(async () => {
    window.isLeft = true;
    window.kit.run("call", "mine", "drain").then((drained) => (window.drained = drained));
    while ((await navigator.locks.query()).pending.length === 0);
  });

  await tab.load(`${world.site.url}/?second`);
  await tab.page.evaluate(() => history.back()).catch(() => undefined);
  await until(() => tab.page.evaluate(() => window.isLeft), "the first page, as it was");
  hold.release();
  assert.equal((await drained).done, 1);
  await until(() => tab.page.evaluate(() => window.drained), "the end of its drain");
  assert.deepEqual(await tab.page.evaluate(() => window.drained), { value: { done: 0, failed: 0, waiting: 0 } });
  await world.arrived(user, [1], [result]);
});
