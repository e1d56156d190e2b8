// What happens to an outbox of thousands in real Chromium beside a server that is down (for that see bad-days.mjs): a disk that
// fills up, a database of an earlier version, jobs that are discarded and an outbox that is cleared while it is drained.
import assert from "node:assert/strict";
import { putIntoIndexedDb, readKept, signInKept } from "../outbox/kept/load.mjs";
import { createProfile, startOnProfile } from "../support/browser.mjs";
import { databaseOf, imageBytes, openTab } from "../support/outbox.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { seedJobs } from "../support/seeded.mjs";
import { startSite } from "../support/site.mjs";
import { until } from "../support/until.mjs";

const DISCARDED = 20;
/** Images whose bytes may be in the bucket without their rows when an outbox is cleared: an insert's, and those on their way. */
const UNDER_WAY = 100;

/** A browser on a profile of its own, and what a tab in it needs. */
async function startWorld(supabase, user) {
  const [site, recorder] = await Promise.all([startSite(), startRecorder({ target: supabase.url })]);
  const profile = await createProfile();
  const sink = { maxRetries: 0, initialBackoffMs: 100, maxBackoffMs: 1000 };
  const options = { maxJobs: 100_000 };
  const tab = { url: site.url, supabase, target: recorder.url, user, sink, options };
  let browser;
  return {
    url: site.url,
    recorder,
    async live() {
      browser = await startOnProfile(profile.folder);
      return browser.context;
    },
    kill: () => browser.kill(),
    tab: (context, other) => openTab(context, { ...tab, ...other }),
    /** An outbox with so many jobs. */
    async seeded(context, many) {
      const seeded = await openTab(context, tab);
      await seeded.enqueue(0);
      await seed(seeded, user, many - 1);
      return seeded;
    },
    async close() {
      await browser?.kill();
      await Promise.all([recorder.close(), site.close()]);
      await profile.remove();
    },
  };
}

async function seed(tab, user, count) {
  await tab.close();
  await tab.page.evaluate(seedJobs, { name: databaseOf(user), count });
  await tab.open();
}

/** How many rows, paths in them and objects a user has. */
async function thereOf(supabase, user) {
  const mine = "from imagen.images where owner_user_id = $1";
  const counts = `select count(*)::int as rows, count(distinct storage_path)::int as paths ${mine}`;
  const [{ rows, paths }] = await supabase.sql(counts, [user.id]);
  const [{ objects }] = await supabase.sql("select count(*)::int as objects from storage.objects where name like $1", [
    `${user.id}/%`,
  ]);
  return { rows, paths, objects };
}

const all = (count) => ({ rows: count, paths: count, objects: count });

/** Drains until nothing waits, whatever a full disk says to that. */
const drained = (tab, limitMs) =>
  until(
    () =>
      tab.drain().then(
        ({ waiting }) => waiting === 0,
        ({ code }) => assert.equal(code, "quota_exceeded"),
      ),
    "an empty outbox",
    limitMs,
  );

/**
 * The browser has no more room at six of ten images, and later it has. Fails unless what was accepted arrived once, and nothing
 * else.
 * @returns {Promise<{ images: number, refused: number }>}
 */
export async function runFullDisk({ supabase, count, limitMs }) {
  const user = await supabase.createUser();
  const world = await startWorld(supabase, user);
  try {
    const before = Math.round(0.6 * count);
    const tab = await world.seeded(await world.live(), before);
    const session = await tab.page.context().newCDPSession(tab.page);
    const setQuota = (quotaSize) =>
      session.send("Storage.overrideQuotaForOrigin", {
        origin: new URL(world.url).origin,
        ...(quotaSize && { quotaSize }),
      });
    const usage = await tab.page.evaluate(async () => (await navigator.storage.estimate()).usage);
    await setQuota(usage + 2 * imageBytes(0).length);
    let accepted = before;
    const refused = await until(
      () =>
        tab.enqueue(1e6 + accepted).then(
          () => {
            accepted += 1;
          },
          (error) => error,
        ),
      "a full disk",
      limitMs,
    );
    assert.equal(refused.code, "quota_exceeded");
    // Three at once: whichever of them find room are in, the others aren't.
    const outcomes = await tab.enqueueMany([2e6, 2e6 + 1, 2e6 + 2]);
    accepted += outcomes.filter(({ ok }) => ok).length;
    assert.equal((await tab.list({ after: accepted - 1 })).length, 1);
    await setQuota();
    // The browser counts late: some hundred more may be in.
    const images = Math.max(count, accepted);
    await seed(tab, user, images - accepted);
    assert.equal((await tab.list({ after: images - 1 })).length, 1);
    await drained(tab, limitMs);
    assert.deepEqual(await thereOf(supabase, user), all(images));
    await tab.close();
    await tab.open();
    assert.deepEqual(await tab.list(), [], "nothing that was refused comes back");
    return { images, refused: 1 + outcomes.filter(({ ok }) => !ok).length };
  } finally {
    await world.close();
  }
}

/**
 * A database as 0.1.0 wrote it, with so many jobs; the browser is killed while it is brought up to date. Fails unless all of them
 * arrived once.
 * @returns {Promise<{ images: number, openedMs: number }>}
 */
export async function runMigration({ supabase, count, limitMs }) {
  const kept = await readKept("version-1");
  const user = await signInKept(supabase, kept);
  const world = await startWorld(supabase, user);
  try {
    const before = await world.tab(await world.live(), { open: false });
    const [job] = kept.jobs.filter(({ text }) => JSON.parse(text).state === "queued");
    const one = { ...kept, jobs: [job], images: { [job.id]: kept.images[job.id] } };
    await putIntoIndexedDb(before, one);
    await before.page.evaluate(seedVersion1, { name: databaseOf(user), count: count - 1 });
    before.open().catch(() => undefined);
    await world.kill();

    const tab = await world.tab(await world.live(), { open: false });
    const start = performance.now();
    await tab.open();
    const openedMs = performance.now() - start;
    assert.equal((await tab.list({ after: job.seq + count - 2 })).length, 1, "all are there");
    await drained(tab, limitMs);
    assert.deepEqual(await thereOf(supabase, user), all(count));
    return { images: count, openedMs };
  } finally {
    await world.close();
  }
}

/** For a page: `count` jobs more like the one that is in a closed database of 0.1.0's. */
async function seedVersion1({ name, count }) {
  const { settled } = window.kit;
  const database = await settled(indexedDB.open(name));
  const transaction = database.transaction(["jobs", "images"], "readwrite");
  const [jobs, images] = ["jobs", "images"].map((store) => transaction.objectStore(store));
  const [first] = await settled(jobs.getAll(undefined, 1));
  const image = await settled(images.get(first.id));
  for (let seq = first.seq + 1; seq <= first.seq + count; seq++) {
    const id = crypto.randomUUID();
    const storagePath = first.storagePath.replace(/-\d+\.png$/, `-${1e7 + seq}.png`);
    const text = first.text.replaceAll(first.id, id).replaceAll(first.storagePath, storagePath);
    jobs.add({ ...first, seq, id, storagePath, text });
    images.add(image, id);
  }
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  database.close();
}

/**
 * While one tab drains, another one discards some images, those that are next among them, and clears the outbox later. Fails
 * unless each image is there whole, or its row is not there; and unless nothing comes back, and the outbox goes on.
 * @returns {Promise<{ images: number, left: number }>} how many arrived, and how many objects without a row were left
 */
export async function runCleared({ supabase, count, limitMs }) {
  const user = await supabase.createUser();
  const world = await startWorld(supabase, user);
  try {
    const context = await world.live();
    const tab = await world.seeded(context, count);
    const second = await world.tab(context);
    const [early, late] = [0.2, 0.5].map((part) =>
      world.recorder.hold({ method: "PUT", at: "request", skip: Math.round(part * count) }),
    );
    const draining = tab.drain();
    await early.reached;
    const oldest = await second.list({ limit: DISCARDED });
    for (const { id } of oldest) {
      // The other lanes go on: some have arrived by then.
      await second.discard(id).catch(({ code }) => assert.equal(code, "job_missing"));
    }
    early.release();
    await late.reached;
    await second.clear();
    assert.deepEqual(await second.list(), []);
    late.release();
    assert.equal((await draining).waiting, 0);
    assert.equal((await tab.drain()).waiting, 0);

    const { rows, paths } = await thereOf(supabase, user);
    assert.ok(rows >= 0.5 * count - DISCARDED - UNDER_WAY && rows <= count, `${rows} rows`);
    assert.equal(paths, rows);
    const without = await supabase.sql(
      "select storage_path from imagen.images left join storage.objects on name = storage_path " +
        "where owner_user_id = $1 and name is null",
      [user.id],
    );
    assert.deepEqual(without, [], "rows without an object");

    // Neither what was discarded nor what was cleared comes back, and what is new arrives.
    await Promise.all([tab.close(), second.close()]);
    await tab.open();
    assert.deepEqual(await tab.list(), []);
    const asked = world.recorder.requests.length;
    assert.deepEqual(await tab.drain(), { done: 0, failed: 0, waiting: 0 });
    assert.equal(world.recorder.requests.length, asked);
    await tab.enqueue(1);
    await drained(tab, limitMs);
    const there = await thereOf(supabase, user);
    assert.deepEqual([there.rows, there.paths], [rows + 1, paths + 1]);
    // The server may have been bringing some of them to their place when their uploads ended here.
    const left = there.objects - there.rows;
    assert.ok(left <= DISCARDED + UNDER_WAY, `${left} objects without a row`);
    return { images: there.rows, left };
  } finally {
    await world.close();
  }
}
