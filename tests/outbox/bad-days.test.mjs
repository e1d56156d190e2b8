// Storage that is missing, blocked, full, newer or damaged, and clocks that jump: a clear code, and no image lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { databaseOf, imageBytes, outboxWorld, pathOf, range } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();
const HOUR = 3_600_000;

/** Browsers in which there can be no outbox, as scripts that run before the page's. */
const UNUSABLE = {
  "IndexedDB is missing": () => {
    delete window.indexedDB;
    delete Window.prototype.indexedDB;
    Object.defineProperty(window, "indexedDB", { value: undefined });
  },
  "opening IndexedDB throws": () => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("access to storage is not allowed", "SecurityError");
    };
  },
  "opening IndexedDB fails, as in some private windows": () => {
    IDBFactory.prototype.open = () => {
      const request = new EventTarget();
      request.error = new DOMException("a mutation operation was attempted", "InvalidStateError");
      queueMicrotask(() => {
        const event = new Event("error");
        request.dispatchEvent(event);
        request.onerror?.(event);
      });
      return request;
    };
  },
  "Web Locks are missing": () => {
    Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
  },
};
for (const [when, init] of Object.entries(UNUSABLE)) {
  test(`when ${when} an outbox is refused with storage_unavailable`, async (t) => {
    const tab = await world.tab(t, await world.user(), { init, open: false });
    await assert.rejects(tab.open(), {
      name: "ImagenCloudError",
      own: true,
      code: "storage_unavailable",
      stage: "outbox",
    });
  });
}

/**
 * A tab with room for ten images, which is set before its database is there: what Chromium has seen of a larger room it
 * believes in for half a minute. `endQuota` gives it all the room there is.
 */
async function smallTab(t, user) {
  const tab = await world.tab(t, user, { open: false });
  const session = await tab.page.context().newCDPSession(tab.page);
  const { origin } = new URL(world.site.url);
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 10 * imageBytes(0).length });
  await tab.open();
  return { tab, endQuota: () => session.send("Storage.overrideQuotaForOrigin", { origin }) };
}

/** Enqueues images until one is refused. */
async function fill(tab, results) {
  return until(async () => {
    try {
      results.push(await tab.enqueue(results.length));
      return undefined;
    } catch (error) {
      return error;
    }
  }, "a full storage");
}

test("a full storage is told of with quota_exceeded, what was there stays, and later there is room", async (t) => {
  const user = await world.user();
  const { tab, endQuota } = await smallTab(t, user);
  const results = [];
  const { name, own, code, stage, retryable } = await fill(tab, results);
  assert.deepEqual([name, own, code, stage, retryable], ["ImagenCloudError", true, "quota_exceeded", "outbox", true]);
  assert.ok(results.length > 0);
  assert.deepEqual(
    (await tab.list()).map(({ id }) => id),
    results.map(({ imageId }) => imageId),
  );
  assert.deepEqual((await tab.image(results[0].imageId)).bytes, imageBytes(0));

  await endQuota();
  await until(
    () =>
      tab.enqueue(results.length).then(
        (result) => results.push(result),
        () => false,
      ),
    "room",
  );
  await tab.drain();
  await world.arrived(user, range(results.length), results);
});

test("images that are there arrive once there is room again, whatever a drain did in the meantime", async (t) => {
  const user = await world.user();
  const { tab, endQuota } = await smallTab(t, user);
  const results = [];
  await fill(tab, results);
  // Whether it can note its steps is the browser's affair.
  await tab.drain().catch(({ code }) => assert.equal(code, "quota_exceeded"));
  await endQuota();
  await until(
    () =>
      tab.drain().then(
        async () => (await tab.list()).length === 0,
        () => false,
      ),
    "an empty outbox",
  );
  await world.arrived(user, range(results.length), results);
});

test("a full storage keeps no image from arriving, being discarded or cleared, nor a pause from ending", async (t) => {
  const user = await world.user();
  const { tab } = await smallTab(t, user);
  await tab.pause();
  const results = [];
  await fill(tab, results);
  await tab.resume();
  assert.equal(await tab.isPaused(), false);
  const [{ imageId }, ...others] = results;
  await tab.discard(imageId);
  assert.deepEqual(await tab.drain(), { done: others.length, failed: 0, waiting: 0 });
  assert.deepEqual(await tab.list(), []);
  await tab.clear();
  await world.arrived(user, range(results.length).slice(1), others);
});

test("in a full storage an image is removed, and one that has to wait keeps no other from arriving", async (t) => {
  const user = await world.user();
  const { tab, endQuota } = await smallTab(t, user);
  const results = [];
  await fill(tab, results);
  await tab.page.evaluate((name) => caches.delete(name), databaseOf(user)); // its copy would be room enough
  await fill(tab, results);
  const [removed, waits] = results.map(({ imageId }) => imageId);
  // Whether the removal itself can be noted is the browser's affair.
  await tab.remove(removed).catch(({ code }) => assert.equal(code, "quota_exceeded"));
  const isUp = world.recorder.answer({ method: "PUT", image: pathOf(user, 1), status: 503, headers: {}, body: "" });
  await tab.drain().catch(({ code }) => assert.equal(code, "quota_exceeded"));
  assert.deepEqual(
    (await tab.list()).map(({ id }) => id),
    [waits],
  );
  isUp();
  await endQuota();
  await until(
    () =>
      tab.remove(removed).then(
        () => true,
        () => false,
      ),
    "room",
  );
  await tab.drain();
  await world.arrived(user, range(results.length).slice(1), results.slice(1));
});

test("the database of a newer version is refused with outbox_too_new and left as it is", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { open: false });
  await tab.page.evaluate(async (name) => {
    const opening = indexedDB.open(name, 99);
    opening.onupgradeneeded = () => opening.result.createObjectStore("crates").add("kept", 1);
    (await window.kit.settled(opening)).close();
  }, databaseOf(user));
  await assert.rejects(tab.open(), { code: "outbox_too_new", stage: "outbox" });
  assert.ok((await tab.dump()).includes("kept"));
});

test("an outbox that is open makes way for a newer version and then says so", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  await tab.enqueue(1);
  await tab.page.evaluate(async (name) => {
    (await window.kit.settled(indexedDB.open(name, 3))).close();
  }, databaseOf(user));
  await assert.rejects(tab.list(), { code: "outbox_too_new" });
  await assert.rejects(tab.enqueue(2), { code: "outbox_too_new" });
});

test("a database of this version without its stores is told of with storage_unavailable", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { open: false });
  await tab.page.evaluate(async (name) => {
    (await window.kit.settled(indexedDB.open(name, 2))).close();
  }, databaseOf(user));
  await assert.rejects(tab.open(), { code: "storage_unavailable", stage: "outbox" });
});

test("jobs of a version-1 database that another build wrote are kept and delivered", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const writer = await world.tab(t, user, { context });
  const results = await writer.enqueueAll([1, 2]);
  const [{ stores }] = JSON.parse(await writer.dump()).filter(({ name }) => name === databaseOf(user));
  await writer.close();
  await writer.page.close();

  // The same records once more, in a database made by hand.
  const tab = await world.tab(t, user, { context, open: false });
  const png = [...imageBytes(0).subarray(0, -"image 0".length)];
  await tab.page.evaluate(
    async ([name, jobs, png]) => {
      await window.kit.settled(indexedDB.deleteDatabase(name));
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => {
        const database = opening.result;
        const store = database.createObjectStore("jobs", { keyPath: "seq", autoIncrement: true });
        store.createIndex("id", "id", { unique: true });
        store.createIndex("storagePath", "storagePath");
        const images = database.createObjectStore("images");
        database.createObjectStore("settings");
        for (const [index, job] of jobs.entries()) {
          store.add(job);
          const bytes = [...png, ...new TextEncoder().encode(`image ${index + 1}`)];
          images.add(new Uint8Array(bytes).buffer, job.id);
        }
      };
      (await window.kit.settled(opening)).close();
    },
    [databaseOf(user), stores.jobs.values, png],
  );
  await tab.open();
  assert.deepEqual(
    (await tab.list()).map(({ id }) => id),
    results.map(({ imageId }) => imageId),
  );
  assert.equal((await tab.drain()).done, 2);
  await world.arrived(user, [1, 2], results);
});

/** Changes what the database holds of one job, of which there is no copy. */
const tamper = (tab, user, id, how) =>
  tab.page.evaluate(
    async ([name, id, how]) => {
      const { settled } = window.kit;
      await caches.delete(name);
      const database = await settled(indexedDB.open(name));
      const transaction = database.transaction(["jobs", "images"], "readwrite");
      const [jobs, images] = [transaction.objectStore("jobs"), transaction.objectStore("images")];
      const job = await settled(jobs.index("id").get(id));
      if (how === "image gone") images.delete(id);
      if (how === "image cut") images.put((await settled(images.get(id))).slice(0, 10), id);
      if (how === "image no bytes") images.put("rubbish", id);
      if (how === "job rubbish") {
        for (const key of Object.keys(job)) if (!["seq", "id", "storagePath"].includes(key)) job[key] = "rubbish {";
        jobs.put(job);
      }
      if (how === "job bare") jobs.put({ seq: job.seq, id });
      if (how === "job nameless") jobs.put({ seq: job.seq, rubbish: true });
      await new Promise((resolve) => {
        transaction.oncomplete = resolve;
      });
      database.close();
    },
    [databaseOf(user), id, how],
  );

for (const how of ["image gone", "image cut", "image no bytes", "job rubbish", "job bare"]) {
  test(`a damaged record (${how}) is told of with job_unreadable and holds nobody up`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user);
    const results = await tab.enqueueAll([1, 2, 3]);
    const { imageId } = results[1];
    await tamper(tab, user, imageId, how);
    const { done, waiting, stopped } = await tab.drain();
    assert.deepEqual({ done, waiting, stopped }, { done: 2, waiting: 0, stopped: undefined });
    await world.arrived(user, [1, 3], [results[0], results[2]]);
    const [job, ...others] = await tab.list();
    assert.deepEqual(others, []);
    assert.deepEqual([job.id, job.state, job.error.code], [imageId, "failed", "job_unreadable"]);
    if (how.startsWith("image")) await assert.rejects(tab.image(imageId), { code: "job_unreadable" });
    else assert.deepEqual((await tab.image(imageId)).bytes, imageBytes(2), "its image is not lost");
    await tab.discard(imageId);
    assert.deepEqual(await tab.list(), []);
  });
}

test("a record without even an id holds nobody up, and clear forgets it", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const results = await tab.enqueueAll([1, 2, 3]);
  await tamper(tab, user, results[1].imageId, "job nameless");
  assert.equal((await tab.drain()).done, 2);
  await world.arrived(user, [1, 3], [results[0], results[2]]);
  await tab.enqueue(4);
  await tab.drain();
  await tab.clear();
  assert.deepEqual(await tab.list(), []);
});

test("an image that the browser can't read is sent from its copy, and without one holds nobody up", async (t) => {
  const init = () => {
    // As Chromium does where the file of a large value is missing.
    const { get } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.get = function (key) {
      if (this.name !== "images" || key !== window.unreadable) return get.call(this, key);
      throw new DOMException("Failed to read large IndexedDB value", "DataError");
    };
  };
  for (const hasCopy of [true, false]) {
    const user = await world.user();
    const tab = await world.tab(t, user, { init });
    const results = await tab.enqueueAll([1, 2]);
    const id = results[0].imageId;
    await tab.page.evaluate((given) => {
      window.unreadable = given;
    }, id);
    if (hasCopy) assert.deepEqual((await tab.image(id)).bytes, imageBytes(1));
    else await tab.page.evaluate((name) => caches.delete(name), databaseOf(user));
    const failed = hasCopy ? 0 : 1;
    assert.deepEqual(await tab.drain(), { done: 2 - failed, failed, waiting: 0 });
    if (!hasCopy) {
      assert.equal((await tab.list())[0].error.code, "job_unreadable");
      await tab.page.evaluate(() => delete window.unreadable);
      await tab.retry(id);
      assert.equal((await tab.drain()).done, 1);
    }
    await world.arrived(user, [1, 2], results);
  }
});

test("what a damaged record said of its size takes no room for ever", async (t) => {
  const user = await world.user();
  const options = { maxBytes: 2 * imageBytes(1).length };
  const tab = await world.tab(t, user, { options });
  const { imageId } = await tab.enqueue(1);
  await tamper(tab, user, imageId, "job rubbish");
  await tab.discard(imageId);
  const results = await tab.enqueueAll([2, 3]);
  assert.deepEqual(await tab.drain(), { done: 2, failed: 0, waiting: 0 });
  await world.arrived(user, [2, 3], results);
});

/** A page's clock that can be moved by `window.clockShift` ms, and is moved in other pages alike. */
const movableClock = () => {
  const real = Date.now;
  Date.now = () => real() + (window.clockShift ?? 0);
};
const shiftClock = (tab, ms) =>
  tab.page.evaluate((shift) => {
    window.clockShift = shift;
  }, ms);

for (const [what, first, then] of [
  ["back by hours after a wait was set", 0, -5 * HOUR],
  ["on by hours when a wait is set and back after it", 5 * HOUR, 0],
  ["on by hours after a wait was set", 0, 5 * HOUR],
  ["back by hours when a wait is set and on after it", -5 * HOUR, 0],
]) {
  test(`a clock that is put ${what} makes no job wait longer than maxBackoffMs`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const sink = { maxRetries: 0, initialBackoffMs: 300, maxBackoffMs: 300 };
    const settings = { context, init: movableClock, open: false, sink, options: { automatic: true } };
    const tab = await world.tab(t, user, settings);
    await shiftClock(tab, first);
    await tab.open();
    const relent = world.recorder.answer({ method: "PUT", image: user.id, status: 503, body: {} });
    await tab.enqueue(1);
    await until(async () => (await tab.list())[0].attempts >= 1, "an attempt");
    await tab.page.close();
    relent();

    const next = await world.tab(t, user, settings);
    await shiftClock(next, then);
    await next.open();
    await next.empty(); // it would be hours else
    await world.arrived(user, [1]);
  });
}

test("a clock that jumps while jobs wait holds none of them", async (t) => {
  const user = await world.user();
  const sink = { maxRetries: 0, initialBackoffMs: 50, maxBackoffMs: 200 };
  const tab = await world.tab(t, user, { init: movableClock, sink, options: { automatic: true } });
  const relent = world.recorder.answer({ method: "PUT", image: user.id, status: 503, body: {} });
  const results = await tab.enqueueAll(range(3));
  for (const shift of [3 * HOUR, -3 * HOUR, 0, -8 * HOUR]) {
    const [{ attempts }] = await tab.list();
    await shiftClock(tab, shift);
    await until(async () => (await tab.list())[0].attempts > attempts, `an attempt after a jump by ${shift / HOUR} h`);
  }
  relent();
  await tab.empty();
  await world.arrived(user, range(3), results);
});

test("a wait that a server asked for is obeyed by every drain", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user, { sink: { maxRetries: 0 }, init: movableClock });
  await tab.enqueue(1);
  const relent = world.recorder.answer({
    method: "PUT",
    image: pathOf(user, 1),
    status: 429,
    headers: { "retry-after": "3600", "access-control-expose-headers": "retry-after" },
    body: {},
  });
  await tab.drain();
  relent();
  const [job] = await tab.list();
  assert.equal(job.waitAsked, true);
  assert.ok(Math.abs(job.notBefore - Date.now() - HOUR) < 60_000);
  assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 1 });
  await shiftClock(tab, HOUR + 60_000);
  assert.deepEqual(await tab.drain(), { done: 1, failed: 0, waiting: 0 });
  await world.arrived(user, [1]);
});
