// Whatever a browser owes an answer for: the outbox does not wait for ever, and looks at its jobs when they are due.
import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseOf, outboxWorld, pathOf } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
/** For a page: nobody hears that it has the lock, as if it were frozen. */
const deaf = () => {
  const { addEventListener } = BroadcastChannel.prototype;
  BroadcastChannel.prototype.addEventListener = function (...args) {
    if (!this.name.endsWith("-lock")) addEventListener.apply(this, args);
  };
};
const putsOf = (user) =>
  world.recorder.requests.filter(({ method, image }) => method === "PUT" && image?.startsWith(user.id));
/** The drain of a tab that waits, by its own clock, until it has taken the lock and uploads: so many uploads are there then. */
const takesLock = (tab, user, uploads) =>
  until(async () => {
    if (putsOf(user).length < uploads) await tab.page.clock.runFor(1000);
    return putsOf(user).length === uploads;
  }, "the other tab's upload");
const refusal = { name: "ImagenCloudError", own: true, code: "storage_unavailable", stage: "outbox" };

test("a database that never opens is told of with storage_unavailable", async (t) => {
  const init = () => {
    IDBFactory.prototype.open = () => {
      window.isOpening = true;
      return new EventTarget();
    };
  };
  const tab = await world.tab(t, await world.user(), { init, open: false });
  await tab.page.clock.install();
  const opening = tab.open().catch((error) => error);
  await tab.page.waitForFunction(() => window.isOpening);
  await tab.page.clock.runFor(10_000);
  const error = await opening;
  assert.deepEqual({ ...error, ...refusal }, { ...error });
});

test("a transaction that never ends is told of with storage_unavailable", async (t) => {
  const tab = await world.tab(t, await world.user());
  await tab.page.clock.install();
  await tab.page.evaluate(() => {
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = function (...args) {
      window.isAsked = true;
      // Its answer is heard by nobody, and the next question keeps the transaction alive.
      const again = () => get.apply(this, args).addEventListener("success", again);
      again();
      return new EventTarget();
    };
  });
  const asked = tab.isPaused().catch((error) => error);
  await tab.page.waitForFunction(() => window.isAsked);
  await tab.page.clock.runFor(60_000);
  const error = await asked;
  assert.deepEqual({ ...error, ...refusal }, { ...error });
});

test("an image whose transaction commits after all patience is not told to be refused", async (t) => {
  const init = () => {
    window.released = new Promise((resolve) => {
      window.release = resolve;
    });
    const { addEventListener } = EventTarget.prototype;
    EventTarget.prototype.addEventListener = function (type, listener, ...rest) {
      const isHeld = type === "complete" && this instanceof IDBTransaction && this.objectStoreNames.contains("images");
      const late = async (event) => {
        window.isComplete = true;
        await window.released;
        listener.call(this, event);
      };
      addEventListener.call(this, type, isHeld && this.mode === "readwrite" ? late : listener, ...rest);
    };
  };
  const user = await world.user();
  const tab = await world.tab(t, user, { init });
  await tab.page.clock.install();
  const taken = tab.enqueue(1);
  await tab.page.waitForFunction(() => window.isComplete);
  await tab.page.clock.runFor(60_000);
  await tab.page.evaluate(() => window.release());
  const result = await taken;
  assert.equal((await tab.drain()).done, 1);
  await world.arrived(user, [1], [result]);
});

test("a browser that wrongly calls itself offline sends what is enqueued", async (t) => {
  const init = () => Object.defineProperty(Navigator.prototype, "onLine", { get: () => false });
  const user = await world.user();
  const tab = await world.tab(t, user, { init, open: false, options: { automatic: true } });
  await tab.page.clock.install();
  await tab.open();
  const result = await tab.enqueue(1);
  await until(async () => {
    await tab.page.clock.runFor(1000);
    return (await tab.list()).length === 0;
  }, "the image to be sent");
  await world.arrived(user, [1], [result]);
});

test("a question about durable storage that is never answered holds nobody up", async (t) => {
  const init = () => {
    StorageManager.prototype.persist = () => new Promise(() => {});
  };
  const user = await world.user();
  const tab = await world.tab(t, user, { init });
  const result = await tab.enqueue(1);
  assert.equal((await tab.drain()).done, 1);
  await world.arrived(user, [1], [result]);
});

for (const [what, query] of [
  ["nobody has", () => Promise.resolve({ held: [], pending: [] })],
  ["nobody tells of", () => new Promise(() => {})],
  ["can't be asked for", () => Promise.reject(new DOMException("trouble", "UnknownError"))],
]) {
  test(`a lock that is never given, and that ${what}, is told of, and drains nothing when it comes`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user);
    const result = await tab.enqueue(1);
    await tab.page.clock.install();
    await tab.page.evaluate((query) => {
      const { request } = LockManager.prototype;
      LockManager.prototype.request = function (...given) {
        // Neither its signal nor anybody else is heard.
        window.giveAll = () => request.call(this, given[0], given.at(-1));
        return new Promise(() => {});
      };
      LockManager.prototype.query = new Function(`return (${query})()`);
      window.restore = () => Object.assign(LockManager.prototype, { request });
    }, String(query));
    let error;
    const drained = tab.drain().catch((thrown) => {
      error = thrown;
    });
    await until(async () => {
      await tab.page.clock.runFor(1000);
      return error;
    }, "an answer");
    await drained;
    assert.deepEqual({ ...error, ...refusal }, { ...error });
    await tab.page.evaluate(() => window.giveAll());
    assert.deepEqual((await tab.list()).length, 1, "what nobody waits for any more is not done");
    await tab.page.evaluate(() => window.restore());
    assert.equal((await tab.drain()).done, 1);
    await world.arrived(user, [1], [result]);
  });
}

test("a lock that another tab has is waited for, however long that takes", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tabs = [await world.tab(t, user, { context }), await world.tab(t, user, { context })];
  await tabs[0].enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const drains = [tabs[0].drain()];
  await hold.reached;
  await tabs[1].page.clock.install();
  let isOver = false;
  drains.push(tabs[1].drain().finally(() => (isOver = true)));
  await tabs[1].page.evaluate((name) => {
    const { query } = LockManager.prototype;
    const { postMessage } = BroadcastChannel.prototype;
    Object.assign(window, { looks: 0, asked: 0, answered: 0 });
    LockManager.prototype.query = function () {
      window.looks += 1;
      return query.call(this);
    };
    BroadcastChannel.prototype.postMessage = function (message) {
      window.asked += 1;
      postMessage.call(this, message);
    };
    window.listening = new BroadcastChannel(`${name}-lock`);
    window.listening.onmessage = ({ data }) => {
      window.answered += data === "Yes" ? 1 : 0;
    };
  }, databaseOf(user));
  await until(async () => {
    await tabs[1].page.clock.runFor(1000);
    // The clock runs faster than what is told between tabs.
    await tabs[1].page.waitForFunction(() => window.answered === window.asked);
    return (await tabs[1].page.evaluate(() => window.looks)) >= 5;
  }, "five looks at who has it");
  assert.equal(isOver, false);
  hold.release();
  const [first, second] = await Promise.all(drains);
  assert.deepEqual([first.done, second], [1, { done: 0, failed: 0, waiting: 0 }]);
});

test("a frozen tab keeps nobody from draining, and waits for its turn when it goes on", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  // It has the lock, waits for an answer that does not come, and hears nobody.
  const tabs = [await world.tab(t, user, { context, init: deaf }), await world.tab(t, user, { context })];
  const result = await tabs[0].enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const first = tabs[0].drain();
  await hold.reached;
  await tabs[1].page.clock.install();
  const second = tabs[1].drain();
  await takesLock(tabs[1], user, 2);
  assert.deepEqual(await second, { done: 1, failed: 0, waiting: 0 });
  assert.deepEqual(await first, { done: 0, failed: 0, waiting: 0 });
  hold.release();
  await world.arrived(user, [1], [result]);
});

test("an outbox that is closed while it takes the lock of a frozen tab says so", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const init = () => {
    const { request } = LockManager.prototype;
    const released = new Promise((resolve) => {
      window.release = resolve;
    });
    LockManager.prototype.request = async function (name, options, work) {
      if (!options.steal) return request.call(this, name, options, work);
      window.isTaking = true;
      await released;
      return request.call(this, name, options, work);
    };
  };
  const tabs = [await world.tab(t, user, { context, init: deaf }), await world.tab(t, user, { context, init })];
  await tabs[0].enqueue(1);
  const hold = world.recorder.hold({ method: "PUT", at: "request", image: user.id });
  const first = tabs[0].drain();
  await hold.reached;
  await tabs[1].page.clock.install();
  const second = tabs[1].drain().catch((error) => error);
  await until(async () => {
    await tabs[1].page.clock.runFor(1000);
    return tabs[1].page.evaluate(() => window.isTaking);
  }, "the lock to be taken");
  await tabs[1].close();
  await tabs[1].page.evaluate(() => window.release());
  assert.deepEqual([(await second).code, (await second).own], ["aborted", true]);
  hold.release();
  assert.equal((await first).waiting, 0);
});

test("a tab that was frozen till its lock was taken sends nothing more, even where it hears of that last", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const init = () => {
    const { request } = LockManager.prototype;
    const told = new Promise((resolve) => {
      window.tellOfLock = resolve;
    });
    LockManager.prototype.request = async function (name, options, work) {
      const watched = (lock) => work(lock).finally(() => (window.isOver = true));
      try {
        return await request.call(this, name, options, watched);
      } catch (error) {
        await told;
        throw error;
      }
    };
    const { now } = Date;
    Date.now = () => now() + (window.frozenMs ?? 0);
  };
  const tabs = [await world.tab(t, user, { context, init: [deaf, init] }), await world.tab(t, user, { context })];
  const result = await tabs[0].enqueue(1);
  // Its upload fails, and it would try again.
  const isUp = world.recorder.answer({ method: "PUT", image: user.id, status: 503, headers: {}, body: "" });
  const hold = world.recorder.hold({ method: "PUT", at: "answer", image: user.id });
  const first = tabs[0].drain();
  await hold.reached;
  isUp();
  await tabs[1].page.clock.install();
  const second = tabs[1].drain();
  await takesLock(tabs[1], user, 2);
  assert.deepEqual(await second, { done: 1, failed: 0, waiting: 0 });
  await tabs[0].page.evaluate(() => {
    window.frozenMs = 60_000;
  });
  hold.release();
  await tabs[0].page.waitForFunction(() => window.isOver);
  assert.equal(putsOf(user).length, 2);
  await tabs[0].page.evaluate(() => window.tellOfLock());
  assert.deepEqual(await first, { done: 0, failed: 0, waiting: 0 });
  await world.arrived(user, [1], [result]);
});

for (const [what, init] of [
  ["throws at every message", () => (BroadcastChannel.prototype.postMessage = () => undefined.x)],
  ["can't be had", () => (window.BroadcastChannel = undefined)],
]) {
  test(`a BroadcastChannel that ${what} holds nobody up`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { init });
    const result = await tab.enqueue(1);
    assert.equal((await tab.drain()).done, 1);
    const states = (await tab.changes()).map(({ state }) => state);
    assert.ok(states.includes("done"), "this tab is told");
    await world.arrived(user, [1], [result]);
  });
}

test("without a BroadcastChannel a tab that nobody looks at finishes what another one has left", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const init = () => {
    window.BroadcastChannel = undefined;
  };
  const tab = await world.tab(t, user, { context, init, open: false, options: { automatic: true } });
  await tab.page.clock.install();
  await tab.open();
  const other = await world.tab(t, user, { context, init });
  const result = await other.enqueue(1);
  await other.page.close();
  await tab.page.clock.runFor(30_000);
  await tab.empty();
  await world.arrived(user, [1], [result]);
});

test("a service worker whose Background Sync throws at once does not undo an enqueue", async (t) => {
  const init = () => (SyncManager.prototype.register = () => undefined.x);
  const user = await world.user();
  const tab = await world.tab(t, user, { init, worker: world.worker(user) });
  const result = await tab.enqueue(1);
  await tab.drain();
  await world.arrived(user, [1], [result]);
});

test("while a drain is under way, of several waits the earlier ones end first", async (t) => {
  const user = await world.user();
  const sink = { maxRetries: 0, initialBackoffMs: 10, maxBackoffMs: 10 };
  const tab = await world.tab(t, user, { sink, open: false, options: { automatic: true } });
  await tab.page.clock.install();
  await tab.open();
  const hold = world.recorder.hold({ method: "PUT", image: pathOf(user, 1), at: "request" });
  await tab.enqueue(1);
  await hold.reached;
  // All are told to wait, and each later time comes to the page after an earlier one: none may be put off, and none forgotten.
  const asked = (number, seconds) =>
    world.recorder.answer({
      method: "PUT",
      image: pathOf(user, number),
      status: 429,
      headers: { "retry-after": `${seconds}`, "access-control-expose-headers": "retry-after" },
      body: {},
    });
  const relent = [asked(4, 1), asked(2, 3), asked(3, 300)];
  const waits = async (number) =>
    (await tab.list()).some(({ storagePath, waitAsked }) => storagePath === pathOf(user, number) && waitAsked);
  for (const number of [4, 2, 3]) {
    await tab.enqueue(number);
    await until(() => waits(number), `the wait of ${number}`);
  }
  for (const end of relent) end();
  const isThere = async (number) => (await tab.list()).some(({ storagePath }) => storagePath === pathOf(user, number));
  for (const number of [4, 2]) {
    await until(async () => {
      // Its wait, and that of its row for others: their timers begin after what is told of them.
      await tab.page.clock.runFor(1000);
      return !(await isThere(number));
    }, `the image ${number}, whose time has come`);
  }
  assert.equal((await tab.list()).length, 2, "one is held, one waits");
  hold.release();
});

test("while the first drain of a tab is under way, the wait of a job that was there before ends in time", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const options = { automatic: true };
  const sink = { maxRetries: 0 };
  const [asked, held] = [1, 2].map((number) => ({ method: "PUT", image: pathOf(user, number) }));
  const relent = world.recorder.answer({
    ...asked,
    status: 429,
    headers: { "retry-after": "300", "access-control-expose-headers": "retry-after" },
    body: {},
  });
  const earlier = await world.tab(t, user, { context, sink });
  await earlier.enqueueAll([1, 2]);
  const holds = [world.recorder.hold({ ...held, at: "request" })];
  earlier.drain().catch(() => {});
  await until(async () => (await earlier.list()).some(({ waitAsked }) => waitAsked), "the wait");
  await holds[0].reached; // or it would hold the next page's
  await earlier.page.close();
  holds.push(world.recorder.hold({ ...held, at: "request" }));
  relent();

  const tab = await world.tab(t, user, { context, sink, options, open: false });
  await tab.page.clock.install();
  await tab.open();
  await holds[1].reached;
  await tab.page.clock.runFor(310_000);
  await until(
    () => putsOf(user).some(({ image, status }) => image === pathOf(user, 1) && status === 200),
    "its upload",
  );
  for (const hold of holds) hold.release();
});

test("an automatic outbox whose database failed once looks again", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { open: false, options: { automatic: true } });
  await tab.page.clock.install();
  await tab.open();
  await tab.page.evaluate(() => {
    const { getAll } = IDBIndex.prototype;
    IDBIndex.prototype.getAll = () => {
      IDBIndex.prototype.getAll = getAll;
      window.hasFailed = true;
      throw new DOMException("disk trouble", "OperationError");
    };
  });
  await tab.page.evaluate(() => window.dispatchEvent(new Event("online")));
  await tab.page.waitForFunction(() => window.hasFailed);
  const image = await world.tab(t, user, { context: tab.page.context() });
  const result = await image.enqueue(1);
  await image.close();
  await tab.page.clock.runFor(30_000);
  await tab.empty();
  await world.arrived(user, [1], [result]);
});
