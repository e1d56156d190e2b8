// A connection to IndexedDB that is dead, and stays so: Safari's may be when its page comes back from the background, and nobody
// is told. The database is there still, and a new connection has it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { outboxWorld, pathOf } from "../support/outbox.mjs";

const world = outboxWorld();

/** Has the connections that were used so far be dead from then on, in one of several ways. */
const init = () => {
  const used = new Set();
  const dead = new Map();
  window.lose = (how) => {
    for (const database of used) dead.set(database, how);
  };
  const lost = () =>
    new DOMException("Connection to Indexed Database server lost. Refresh the page to try again", "UnknownError");
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (...args) {
    used.add(this);
    if (dead.get(this) === "no transaction") throw lost();
    const begun = transaction.apply(this, args);
    if (dead.get(this) === "every transaction is aborted") queueMicrotask(() => begun.abort());
    return begun;
  };
  const { objectStore } = IDBTransaction.prototype;
  IDBTransaction.prototype.objectStore = function (name) {
    if (dead.get(this.db) === "no request") throw lost();
    return objectStore.call(this, name);
  };
  const { close } = IDBDatabase.prototype;
  IDBDatabase.prototype.close = function () {
    used.delete(this);
    close.call(this);
  };
  window.connections = () => used.size;
};
const lose = (tab, how) => tab.page.evaluate((given) => window.lose(given), how);

for (const how of ["no transaction", "no request", "every transaction is aborted"]) {
  test(`a dead connection (${how}) is left for a new one, and no image is refused or lost`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { init });
    const results = [await tab.enqueue(1)];
    await lose(tab, how);
    results.push(await tab.enqueue(2));
    assert.equal((await tab.list()).length, 2);
    await lose(tab, how);
    const hold = world.recorder.hold({ method: "PUT", image: pathOf(user, 1), at: "answer" });
    const drained = tab.drain();
    await hold.reached;
    await lose(tab, how);
    hold.release();
    assert.deepEqual(await drained, { done: 2, failed: 0, waiting: 0 });
    await world.arrived(user, [1, 2], results);
    assert.equal(await tab.page.evaluate(() => window.connections()), 1, "the dead ones are closed");
    await tab.close();
    assert.equal(await tab.page.evaluate(() => window.connections()), 0);
  });
}

test("a connection that does not answer is not asked again", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { init });
  const results = [await tab.enqueue(1)];
  await tab.page.clock.install();
  await tab.page.evaluate(() => {
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = function (...args) {
      window.asked ??= this.transaction.db;
      if (this.transaction.db !== window.asked) return get.apply(this, args);
      const again = () => get.apply(this, args).addEventListener("success", again);
      again();
      return new EventTarget();
    };
  });
  const asked = tab.isPaused().catch((error) => error);
  await tab.page.waitForFunction(() => window.asked);
  await tab.page.clock.runFor(60_000);
  assert.equal((await asked).code, "storage_unavailable");
  await tab.page.clock.resume();
  assert.equal(await tab.isPaused(), false);
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1], results);
});
