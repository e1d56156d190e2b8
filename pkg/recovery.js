// What a damaged or lost database is given back of the second copies.
import { ALL, NEW, transact } from "./database.js";
import { holdersOf, jobOf, notesRange, PAGE, placed, put, recount, TOTALS, totalsOf } from "./records.js";
import { renewed } from "./renew.js";

/** How long the note of a job that is gone counts: so long a tab may be frozen before it goes on writing. */
const NOTED_MS = 86_400_000;
/** So many copies are listed without holding the page's thread up for long. */
const LISTED_AT_ONCE = 500;
/** What Chromium says of a value whose file is lost or damaged: it keeps those of more than 64 KiB in files of their own. */
const UNREADABLE = ["NotReadableError", "DataError"];
/** Whether an error says that a record can't be read. @param {unknown} error */
export const isUnreadable = (error) => UNREADABLE.includes(error?.name);

/**
 * Counts a database anew that has lost a part, and puts the jobs back whose copies are all that is left. What can't be put back
 * now (a full disk) stays where it is, and is tried again at the next opening.
 * @param {import("idb").IDBPDatabase} database @param {import("./copies.js").Copies} copies @param {string} ownerUserId
 * @param {() => boolean} isClosed whether nobody wants it any more
 */
export async function recover(database, copies, ownerUserId, isClosed) {
  const { wasLost, count, isOff } = await stateOf(database);
  if (isOff) await transact(database, ["jobs", "settings"], "readwrite", recount).catch(() => undefined);
  // A browser that finds a database damaged deletes it whole. Where there are very many, that one has lost a part only is seen
  // when there are fewer, since the caches can't list theirs by parts.
  if (isClosed() || (!wasLost && count > LISTED_AT_ONCE)) return;
  await restore(database, copies, ownerUserId, wasLost).catch(() => undefined);
}

/** Whether what a database before this one held may not be back in it yet, how many jobs there are, and whether the totals say otherwise. */
function stateOf(database) {
  return transact(database, ["jobs", "settings"], "readonly", async (transaction) => {
    const [jobs, settings] = ["jobs", "settings"].map((store) => transaction.objectStore(store));
    const [wasLost, totals, count] = await Promise.all([settings.get(NEW), settings.get(TOTALS), jobs.count()]);
    return { wasLost: wasLost !== undefined, count, isOff: totals?.count !== count };
  });
}

/** Puts the jobs back that the database lost; those that had arrived since they were accepted are sent in vain. */
async function restore(database, copies, ownerUserId, wasLost) {
  // In this order: of a job that another tab removes meanwhile the copy is gone before the job is.
  const copied = await copies.ids();
  const [notes, known] = await transact(database, ["jobs", "settings"], "readonly", (transaction) => {
    const [jobs, settings] = ["jobs", "settings"].map((store) => transaction.objectStore(store));
    return Promise.all([
      Promise.all([settings.getAllKeys(notesRange()), settings.getAll(notesRange())]),
      Promise.all(copied.map((id) => jobs.index("id").getKey(id))),
    ]);
  });
  const forgotten = new Set(notes[0].map(([, id]) => id));
  for (const id of copied.filter((_, at) => known[at] === undefined)) {
    if (forgotten.has(id)) await copies.forget([id]);
    else await putBack(database, copies, ownerUserId, id);
  }
  if (copies.isStuck) return;
  // By a clock that may be put back.
  const isOld = (noted) => !(Math.abs(Date.now() - noted) < NOTED_MS);
  const old = notes[0].filter((_, at) => isOld(notes[1][at]));
  if (old.length === 0 && !wasLost) return;
  await transact(database, ["settings"], "readwrite", async (transaction) => {
    const settings = transaction.objectStore("settings");
    await Promise.all([NEW, ...old].map((name) => settings.delete(name)));
  });
}

/** Puts a job back whose copy is all that is left, if that is so, and can be read. */
async function putBack(database, copies, ownerUserId, id) {
  const copy = await copyOf(copies, ownerUserId, id);
  if (!copy) return;
  const { record, image } = copy;
  await transact(database, ALL, "readwrite", async (transaction) => {
    // Another tab may be as quick.
    if (await transaction.objectStore("jobs").index("id").getKey(id)) return;
    // An image that was accepted since goes to its path; once that is there, it may come back.
    if ((await holdersOf(transaction, record)).length > 0) return;
    await put(transaction, await totalsOf(transaction), record, image);
  });
}

/** A job's copy, its record as this version has it, if it can be read. */
async function copyOf(copies, ownerUserId, id) {
  const copy = await copies.read(id);
  const record = copy?.record?.id === id && renewed(copy.record, ownerUserId);
  return record && jobOf(record) ? { record, image: copy.image } : undefined;
}

/**
 * Puts a job's copy in the place of its record that can't be read, and would fail all who read others with it; without a copy an
 * empty record, of a job that can only be discarded.
 */
export async function mend(database, copies, ownerUserId) {
  const jobs = await transact(database, ["jobs"], "readonly", idsAndPlaces);
  for (let at = 0; at < jobs.length; at += PAGE) {
    for (const [id, seq] of await unreadable(database, jobs.slice(at, at + PAGE))) {
      const copy = await copyOf(copies, ownerUserId, id);
      const record = copy?.record ?? { id, storagePath: [], size: 0, text: "" };
      await transact(database, ["jobs"], "readwrite", async (transaction) => {
        const jobs = transaction.objectStore("jobs");
        if ((await jobs.index("id").getKey(id)) === seq) await jobs.put(placed(record, seq));
      });
    }
  }
  await transact(database, ["jobs", "settings"], "readwrite", recount);
}

/** Those of such a list whose records can't be read. */
async function unreadable(database, jobs) {
  const range = IDBKeyRange.bound(jobs[0][0], jobs.at(-1)[0]);
  try {
    await transact(database, ["jobs"], "readonly", (transaction) =>
      transaction.objectStore("jobs").index("id").getAll(range),
    );
    return [];
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  if (jobs.length === 1) return jobs;
  const half = jobs.length >> 1;
  return [...(await unreadable(database, jobs.slice(0, half))), ...(await unreadable(database, jobs.slice(half)))];
}

/** The ids and places of all jobs, in the order of the ids. */
async function idsAndPlaces(transaction) {
  const found = [];
  let cursor = await transaction.objectStore("jobs").index("id").openKeyCursor();
  while (cursor) {
    found.push([cursor.key, cursor.primaryKey]);
    cursor = await cursor.continue();
  }
  return found;
}
