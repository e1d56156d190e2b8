// The outbox's database: how it is opened and brought up to date, and a transaction over it.
import { note, pagesOf, placed, recounted, setTotals } from "./records.js";
import { renewed } from "./renew.js";
import { shown, whenLeft } from "./shown.js";
import { openDB } from "./wasm/idb.js";
import { within } from "./within.js";

const VERSION = 2;
const DURABLE = { durability: "strict" };
/** Its stores. */
export const ALL = ["jobs", "images", "settings"];
/** The setting of a database that is new, until the jobs of a lost one are back in it. */
export const NEW = "new";
/** How long the opening of a database is waited for. */
const OPEN_MS = 10_000;
/** The same of a transaction, which may stand behind many others with large images, or renew thousands of records. */
const TRANSACTION_MS = 60_000;

/**
 * Opens the database of this name and owner. `leave` is called when its connection is of no use any more: a newer version of this
 * package waits in another tab, or the browser has closed it.
 * @param {string} name @param {string} ownerUserId @param {() => void} leave
 */
export function open(name, ownerUserId, leave) {
  return opened((begun) =>
    openDB(name, VERSION, {
      upgrade: (database, oldVersion, _, transaction) => {
        begun();
        endWhenLeft(transaction);
        return upgrade(database, oldVersion, transaction, ownerUserId);
      },
      blocking: (_current, _blocked, event) => {
        event.target.close();
        leave();
      },
      terminated: leave,
    }),
  );
}

/** Closes a database, also one that is still to open. */
export function closed(opening) {
  opening.then(
    (database) => database.close(),
    () => undefined,
  );
}

/**
 * The database; one that opens when nobody waits any more is closed. `open` calls back when what it holds is brought up to date,
 * which may take longer than an opening.
 */
async function opened(open) {
  let begun;
  const isBegun = new Promise((resolve) => {
    begun = resolve;
  });
  await shown();
  const opening = open(begun);
  try {
    await within(OPEN_MS, Promise.race([opening, isBegun]));
    return await within(TRANSACTION_MS, opening);
  } catch (error) {
    closed(opening);
    throw error;
  }
}

/** Every version adds what the one before it lacks, and keeps the jobs. */
async function upgrade(database, oldVersion, transaction, ownerUserId) {
  if (oldVersion < 1) {
    const jobs = database.createObjectStore("jobs", { keyPath: "seq", autoIncrement: true });
    jobs.createIndex("id", "id", { unique: true });
    jobs.createIndex("storagePath", "storagePath");
    database.createObjectStore("images");
    await database.createObjectStore("settings").put(true, NEW);
  }
  if (oldVersion < 2) {
    const jobs = transaction.objectStore("jobs");
    jobs.deleteIndex("storagePath");
    jobs.createIndex("storagePath", "storagePath", { multiEntry: true });
    for (const index of ["due", "waitSetAt", "suspect"]) jobs.createIndex(index, index);
    for await (const page of pagesOf(jobs)) {
      await Promise.all(page.map((record) => jobs.put(placed(renewed(record, ownerUserId), record.seq))));
    }
    const settings = transaction.objectStore("settings");
    const forgotten = await settings.get("forgotten");
    await Promise.all([settings.delete("forgotten"), ...note(transaction, Array.isArray(forgotten) ? forgotten : [])]);
    await setTotals(transaction, await recounted(transaction));
  }
}

/**
 * What `work` makes of one transaction; what it writes is on the disk then.
 * @template T @param {import("idb").IDBPDatabase} database @param {string[]} stores @param {"readonly" | "readwrite"} mode
 * @param {(transaction: import("idb").IDBPTransaction) => Promise<T>} work @returns {Promise<T>}
 */
export async function transact(database, stores, mode, work) {
  await shown();
  const transaction = database.transaction(stores, mode, mode === "readwrite" ? DURABLE : undefined);
  endWhenLeft(transaction);
  const outcome = async () => Promise.all([work(transaction), transaction.done]);
  const both = outcome();
  try {
    return (await within(TRANSACTION_MS, both))[0];
  } catch (error) {
    // What is told to have failed is not done later: of one that has begun to commit is told what comes of it.
    if (isAborted(transaction)) throw error;
    return (await both)[0];
  }
}

/** Has a transaction end before its page is left for the back/forward cache. */
function endWhenLeft(transaction) {
  const forget = whenLeft(() => isAborted(transaction));
  transaction.done.then(forget, forget);
}

/** Whether a transaction that was to be aborted is. */
function isAborted(transaction) {
  try {
    transaction.abort();
    return true;
  } catch {
    return false;
  }
}
