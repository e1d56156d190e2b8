// The browser loses the outbox's database: what was accepted arrives all the same, and what was done with stays gone.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { createProfile, startOnProfile } from "../support/browser.mjs";
import { databaseOf, imageBytes, openTab, outboxWorld, range } from "../support/outbox.mjs";
import { until } from "../support/until.mjs";

const world = outboxWorld();

/** Deletes the user's database under an outbox that is closed, and opens it again. */
async function lose(tab, user) {
  await tab.close();
  await tab.page.evaluate((name) => window.kit.settled(indexedDB.deleteDatabase(name)), databaseOf(user));
  await tab.open();
}

/** How many second copies there are. */
const copiesOf = (tab, user) =>
  tab.page.evaluate(async (name) => (await (await caches.open(name)).keys()).length, databaseOf(user));

const ids = async (tab) => (await tab.list()).map(({ id }) => id);

/** Breaks the checksum of the first record of every log of the profile's databases. */
async function damage(folder) {
  const files = await readdir(folder, { recursive: true });
  const logs = files.filter((file) => /indexeddb\.leveldb\/\d+\.log$/.test(file));
  for (const log of logs) {
    const bytes = await readFile(path.join(folder, log));
    bytes[0] ^= 0xff;
    await writeFile(path.join(folder, log), bytes);
  }
  return logs.length;
}

/** Deletes the files that Chromium keeps large values of its databases in. */
async function loseFiles(folder) {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const lost = files.filter((file) => file.isFile() && /indexeddb\.blob/.test(file.parentPath));
  for (const file of lost) await rm(path.join(file.parentPath, file.name));
  return lost.length;
}

/** A user whose browser keeps its profile; `live` starts it on that, with a tab. */
async function profileOf(t) {
  const user = await world.user();
  const profile = await createProfile();
  t.after(() => profile.remove());
  const settings = { url: world.site.url, supabase: world.supabase, target: world.recorder.url, user };
  const live = async () => {
    const browser = await startOnProfile(profile.folder);
    t.after(() => browser.kill());
    return { ...browser, tab: await openTab(browser.context, settings) };
  };
  return { user, profile, live };
}

test("a database that Chromium finds damaged and deletes costs no image", async (t) => {
  const { user, profile, live } = await profileOf(t);
  const before = await live();
  const results = await before.tab.enqueueAll(range(5));
  await before.kill();
  assert.ok((await damage(profile.folder)) > 0, "there is something to damage");

  const after = await live();
  assert.match(after.log(), /corrupted \(and deleted\) database|Failed to open LevelDB/, "Chromium deleted it");
  assert.deepEqual(
    await ids(after.tab),
    results.map(({ imageId }) => imageId),
  );
  assert.equal((await after.tab.drain()).done, 5);
  await world.arrived(user, range(5), results);
  assert.deepEqual(await ids(after.tab), []);
});

for (const hasCopy of [true, false]) {
  const what = hasCopy ? "is had from its copy" : "and has no copy is told of with job_unreadable, and holds nobody up";
  test(`a large job whose file Chromium has lost ${what}`, async (t) => {
    const { user, profile, live } = await profileOf(t);
    const before = await live();
    const results = await before.tab.enqueueAll([1, 2]);
    // What is longer than 64 KiB, also compressed, Chromium keeps in a file.
    const workflow = randomBytes(75_000).toString("base64");
    results.push(await before.tab.enqueue(3, { sidecar: { workflow } }));
    results.push(await before.tab.enqueue(4));
    if (!hasCopy) await before.tab.page.evaluate((name) => caches.delete(name), databaseOf(user));
    await before.kill();
    assert.equal(await loseFiles(profile.folder), 1, "there is a file to lose");

    const { tab } = await live();
    const large = results[2].imageId;
    assert.deepEqual(
      await ids(tab),
      results.map(({ imageId }) => imageId),
    );
    if (hasCopy) assert.equal((await tab.job(large)).request.sidecar.workflow, workflow);
    else assert.equal((await tab.job(large)).error.code, "job_unreadable");
    assert.deepEqual((await tab.image(large)).bytes, imageBytes(3));
    assert.equal((await tab.drain()).done, hasCopy ? 4 : 3);
    if (!hasCopy) await tab.discard(large);
    assert.deepEqual(await ids(tab), []);
    const arrived = hasCopy ? [1, 2, 3, 4] : [1, 2, 4];
    await world.arrived(user, arrived, hasCopy ? results : results.toSpliced(2, 1));
  });
}

/** Deletes a job of a closed outbox behind its back, its image too, or the image alone. */
const loseOf = (tab, user, id, { job = true, image = true }) =>
  tab.page.evaluate(
    async ([name, id, job, image]) => {
      const database = await window.kit.settled(indexedDB.open(name));
      const transaction = database.transaction(["jobs", "images"], "readwrite");
      const jobs = transaction.objectStore("jobs");
      if (job) jobs.delete(await window.kit.settled(jobs.index("id").getKey(id)));
      if (image) transaction.objectStore("images").delete(id);
      await new Promise((resolve) => {
        transaction.oncomplete = resolve;
      });
      database.close();
    },
    [databaseOf(user), id, job, image],
  );

for (const [what, parts] of Object.entries({
  "an image with its job": {},
  "the job of an image": { image: false },
  "the bytes of an image": { job: false },
})) {
  test(`${what} that its database has lost alone comes back, and no room is lost by it`, async (t) => {
    const user = await world.user();
    const tab = await world.tab(t, user, { options: { maxJobs: 2 } });
    const results = await tab.enqueueAll([1, 2]);
    await tab.close();
    await loseOf(tab, user, results[1].imageId, parts);
    await tab.open();
    assert.deepEqual(
      await ids(tab),
      results.map(({ imageId }) => imageId),
    );
    assert.deepEqual((await tab.image(results[1].imageId)).bytes, imageBytes(2));
    assert.deepEqual(await tab.drain(), { done: 2, failed: 0, waiting: 0 });
    results.push(...(await tab.enqueueAll([3, 4])));
    assert.deepEqual(await tab.drain(), { done: 2, failed: 0, waiting: 0 });
    await world.arrived(user, [1, 2, 3, 4], results);
  });
}

test("what had arrived, was discarded or cleared does not come back with a new database", async (t) => {
  const user = await world.user();
  const tab = await world.tab(t, user);
  const sent = await tab.enqueueAll([1, 2]);
  await tab.drain();
  const { imageId } = await tab.enqueue(3);
  await tab.discard(imageId);
  await lose(tab, user);
  assert.deepEqual(await ids(tab), []);
  await tab.enqueueAll([4, 5]);
  await tab.clear();
  await lose(tab, user);
  assert.deepEqual(await ids(tab), []);
  await world.arrived(user, [1, 2], sent);
});

test("an image that is discarded while its copy is being written does not come back", async (t) => {
  const user = await world.user();
  const init = () => {
    const { put } = Cache.prototype;
    window.released = new Promise((resolve) => {
      window.release = resolve;
    });
    Cache.prototype.put = async function (...given) {
      await window.released;
      return put.apply(this, given);
    };
  };
  const tab = await world.tab(t, user, { init });
  const taken = tab.enqueue(1);
  const [id] = await until(async () => {
    const found = await ids(tab);
    return found.length > 0 && found;
  }, "the job");
  const discarded = tab.discard(id);
  await ids(tab);
  await tab.page.evaluate(() => window.release());
  await Promise.all([taken, discarded]);
  await tab.close();
  await tab.open();
  assert.deepEqual(await ids(tab), []);
});

test("caches that do not answer hold nothing up, and bring nothing back when they do", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context });
  const sent = [await tab.enqueue(1)];
  const { imageId: discarded } = await tab.enqueue(2);

  // As Chromium's are when a tab crashed while it wrote into one.
  const init = () => {
    for (const method of ["put", "keys", "match", "delete"]) Cache.prototype[method] = () => new Promise(() => {});
    CacheStorage.prototype.delete = () => new Promise(() => {});
  };
  const stuck = await world.tab(t, user, { context, init, open: false });
  await stuck.page.clock.install();
  let isKept = false;
  const keeping = (async () => {
    await stuck.open();
    sent.push(await stuck.enqueue(3));
    isKept = true;
  })();
  await until(async () => {
    await stuck.page.clock.runFor(5_000);
    return isKept;
  }, "an image to be kept without the caches");
  await keeping;
  await stuck.discard(discarded);
  assert.deepEqual(await stuck.drain(), { done: 2, failed: 0, waiting: 0 });
  await stuck.enqueue(4);
  await stuck.clear();
  await stuck.close();

  await tab.close();
  await tab.open();
  assert.deepEqual(await ids(tab), []);
  await world.arrived(user, [1, 3], sent);
  await until(async () => (await copiesOf(tab, user)) === 0, "their copies to be gone too");
});

/** In a page: holds the outbox's copies until they are released; `isDead` has the page do no more once one is written. */
const holdCopies = () => {
  const { put } = Cache.prototype;
  const released = new Promise((resolve) => {
    window.releaseCopies = (isDead) => resolve(isDead);
  });
  Cache.prototype.put = async function (...args) {
    const isDead = await released;
    await put.apply(this, args);
    window.isWritten = true;
    if (isDead) await new Promise(() => {}); // a tab that is frozen or killed does no more
  };
  // As long as they are held the outbox waits for them.
  const start = window.setTimeout;
  window.setTimeout = (work, ms, ...args) => start(work, ms === 5000 ? 1e8 : ms, ...args);
};

test("a copy that is written when another tab is done with its job goes too", async (t) => {
  const user = await world.user();
  const context = await world.context(t);
  const tab = await world.tab(t, user, { context, init: holdCopies });
  const other = await world.tab(t, user, { context });
  const kept = [tab.enqueue(1)];
  await until(async () => (await ids(other)).length === 1, "the job");
  assert.equal((await other.drain()).done, 1);
  kept.push(tab.enqueue(2));
  await until(async () => (await ids(other)).length === 1, "the other job");
  await other.discard((await ids(other))[0]);
  await tab.page.evaluate(() => window.releaseCopies());
  const [sent] = await Promise.all(kept);
  await until(async () => (await copiesOf(tab, user)) === 0, "their copies to go");
  await other.close();
  await lose(tab, user);
  assert.deepEqual(await ids(tab), []);
  await world.arrived(user, [1], [sent]);
});

for (const [what, leave] of Object.entries({
  "has sent its image": (other) => other.drain(),
  "has discarded its image": async (other) => other.discard((await ids(other))[0]),
  "has cleared the outbox": (other) => other.clear(),
  "has removed its image": async (other) => {
    await other.remove((await ids(other))[0]);
    await other.drain();
  },
})) {
  test(`a copy that is written when another tab ${what}, by a tab that dies with that, brings nothing back`, async (t) => {
    const user = await world.user();
    const context = await world.context(t);
    const tab = await world.tab(t, user, { context, init: holdCopies });
    const other = await world.tab(t, user, { context });
    tab.enqueue(1).catch(() => {});
    await until(async () => (await ids(other)).length === 1, "the job");
    const [imageId] = await ids(other);
    await leave(other);
    await tab.page.evaluate(() => window.releaseCopies(true));
    await tab.page.waitForFunction(() => window.isWritten);
    await tab.page.close();

    await other.close();
    await other.open();
    assert.deepEqual(await ids(other), []);
    // What was forgotten is no reason to forget what is enqueued under the same id later.
    const again = await other.enqueue(1, { imageId });
    await other.close();
    await loseOf(other, user, imageId, {});
    await other.open();
    assert.deepEqual(await ids(other), [imageId]);
    await other.drain();
    await world.arrived(user, [1], [again]);
  });
}

test("an image whose bytes or row had arrived when its job was lost is there once", async (t) => {
  const user = await world.user();
  for (const [number, method] of ["PUT", "POST"].entries()) {
    const tab = await world.tab(t, user);
    const result = await tab.enqueue(number);
    const hold = world.recorder.hold({ method, at: "answer" });
    tab.drain().catch(() => {});
    const held = await hold.reached;
    await tab.page.close();
    await until(() => held.endedAt, "the end of the page's connection");
    hold.release();

    const next = await world.tab(t, user, { context: tab.page.context() });
    await lose(next, user);
    assert.deepEqual(await ids(next), [result.imageId]);
    assert.equal((await next.drain()).done, 1);
    await world.arrived(user, range(number + 1));
  }
});

test("tabs that open the new database at once put every job back once", async (t) => {
  const user = await world.user();
  const first = await world.tab(t, user);
  const context = first.page.context();
  const results = await first.enqueueAll(range(6));
  await first.close();
  const others = await Promise.all(range(3).map(() => world.tab(t, user, { context, open: false })));
  await first.page.evaluate((name) => window.kit.settled(indexedDB.deleteDatabase(name)), databaseOf(user));
  await Promise.all(others.map((tab) => tab.open()));
  assert.deepEqual((await ids(others[0])).toSorted(), results.map(({ imageId }) => imageId).toSorted());
  await Promise.all(others.map((tab) => tab.drain()));
  await world.arrived(user, range(6), results);
});

test("jobs of another user stay with that user", async (t) => {
  const [user, other] = [await world.user(), await world.user()];
  const tab = await world.tab(t, user);
  await tab.openAs("theirs", other);
  const theirs = await tab.run("enqueue", "theirs", 1, {});
  const mine = await tab.enqueue(2);
  await lose(tab, user);
  assert.deepEqual(await ids(tab), [mine.imageId]);
  assert.deepEqual(
    (await tab.run("call", "theirs", "list")).map(({ id }) => id),
    [theirs.imageId],
  );
});

test("without Cache Storage, or with no room in it, an outbox works as well", async (t) => {
  for (const init of [
    () => {
      delete window.caches;
      delete Window.prototype.caches;
      Object.defineProperty(window, "caches", { value: undefined });
    },
    () => {
      Cache.prototype.put = async () => {
        throw new DOMException("no room", "QuotaExceededError");
      };
    },
    () => {
      for (const method of ["open", "has", "delete"]) {
        CacheStorage.prototype[method] = async () => {
          throw new DOMException("not in this window", "SecurityError");
        };
      }
    },
  ]) {
    const user = await world.user();
    const tab = await world.tab(t, user, { init });
    const results = await tab.enqueueAll([1, 2, 3]);
    await tab.discard(results[2].imageId);
    assert.deepEqual((await tab.image(results[0].imageId)).bytes, imageBytes(1));
    assert.equal((await tab.drain()).done, 2);
    await world.arrived(user, [1, 2], results);
    await tab.clear();
  }
});
