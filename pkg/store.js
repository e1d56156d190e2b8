// The outbox's store over IndexedDB: every method is one transaction, durable when it resolves.
import { Copies } from "./copies.js";
import { failed } from "./errors.js";
import { renewed } from "./renew.js";
import { openDB } from "./wasm/idb.js";
import { within } from "./within.js";

const VERSION = 2;
const DURABLE = { durability: "strict" };
const ALL = ["jobs", "images", "settings"];
/** The settings that say when a job was removed whose copy may still be there, or come: another tab may write it that late. */
const noteOf = (id) => ["forgotten", id];
/** How long such a note counts: so long a tab may be frozen before it goes on writing. */
const NOTED_MS = 86_400_000;

/** All of them. Not at once: it is asked for where there may be no IndexedDB. */
const notesRange = () => IDBKeyRange.bound(["forgotten"], ["forgotten", []]);

/** The setting of a database that is new, until the jobs of a lost one are back in it. */
const NEW = "new";

/** The setting with what is kept of all jobs together, so that nobody has to look at them all. */
const TOTALS = "totals";

/** @type {Totals} */
const NONE = { count: 0, bytes: 0, waiting: 0, last: 0 };

/** So many copies are listed without holding the page's thread up for long. */
const LISTED_AT_ONCE = 500;
/** So many records are read at once where all are looked at. */
const PAGE = 100;
/** How long the opening of a database is waited for. */
const OPEN_MS = 10_000;
/** The same of a transaction, which may stand behind many others with large images, or renew thousands of records. */
const TRANSACTION_MS = 60_000;

/**
 * A job as it is stored: what the store itself looks at, and the job's JSON text. One that waits says until when, since when
 * if it was told to, and whether a gateway turned it away; `due` is that time with its place, for the index.
 * Its path is a list where it holds several, or none.
 * @typedef {{ seq?: number, id: string, storagePath: string | string[], size: number, text: string, revision?: number,
 *   notBefore?: number, waitSetAt?: number, suspect?: 1, due?: [number, number] }} JobRecord
 */
/** How many jobs there are, their bytes, how many wait, and the last place. */
/** @typedef {{ count: number, bytes: number, waiting: number, last: number }} Totals */

export class Store {
  #name;
  #copies;
  /** The jobs whose copies are written, and that nobody has looked for since: id and place. */
  #unseen = [];
  #opening;
  #isClosed = false;
  /** What is being put in, by id. Its copy comes after it: who removes it here waits for that, or the copy would stay, and bring it back. */
  #coming = new Map();

  #ownerUserId;

  /**
   * @param {string} ownerUserId whose jobs it holds
   * @param {string} asGiven the same in the way of writing that names the database, as it did in 0.1.0
   */
  constructor(ownerUserId, asGiven) {
    this.#ownerUserId = ownerUserId;
    this.#name = `imagen-cloud-outbox-${asGiven}`;
    this.#copies = new Copies(this.#name);
  }

  /** Of the database, and of the lock and the channel of those who share it. */
  get name() {
    return this.#name;
  }

  /** A record's job; nothing where it is damaged. @param {JobRecord} record */
  read(record) {
    const job = parse(record.text);
    return agrees(job, record) ? job : undefined;
  }

  /**
   * Adds a job with its image, unless its id, its path, its removal or the limits forbid it; then its place is the answer.
   * @param {JobRecord} record
   * @param {ArrayBuffer} image
   * @param {string} removalId the id that the image's removal has
   * @param {number} maxJobs
   * @param {number} maxBytes
   * @returns {Promise<number | "known" | "id_taken" | "path_taken" | "full">}
   */
  async add(record, image, removalId, maxJobs, maxBytes) {
    return this.#putIn(record, image, async (transaction, putIt) => {
      const jobs = transaction.objectStore("jobs");
      const [known, removal, holders, totals] = await Promise.all([
        jobs.index("id").get(record.id),
        jobs.index("id").getKey(removalId),
        holdersOf(transaction, record),
        totalsOf(transaction),
      ]);
      if (known) return pathOf(known) === pathOf(record) ? "known" : "id_taken";
      if (removal !== undefined) return "id_taken";
      if (holders.length > 0) return "path_taken";
      if (totals.count >= maxJobs || totals.bytes + record.size > maxBytes) return "full";
      return putIt(totals);
    });
  }

  /** Puts a job in by a transaction of all stores, which gives its place, or why it has none; then its copy. */
  async #putIn(record, image, work) {
    const { id } = record;
    const before = this.#coming.get(id);
    const putIn = async () => {
      await before?.catch(() => undefined);
      let keep;
      const added = await this.#transact(ALL, "readwrite", (transaction) =>
        work(transaction, (totals) => {
          const putting = put(transaction, totals, record, image);
          keep = this.#copies.ready(record, image);
          return putting;
        }),
      );
      if (typeof added === "number") await this.#copy(id, added, keep);
      return added;
    };
    const coming = putIn();
    this.#coming.set(id, coming);
    try {
      return await coming;
    } finally {
      if (this.#coming.get(id) === coming) this.#coming.delete(id);
    }
  }

  /** Forgets the copies of these jobs, or all, those too that are on their way; what the copies say of that. @param {string[]} [ids] */
  async #forget(ids) {
    const coming = ids ? ids.map((id) => this.#coming.get(id)) : [...this.#coming.values()];
    await Promise.allSettled(coming);
    return ids ? this.#copies.forget(ids) : this.#copies.clear();
  }

  /** Keeps the copy of a job that was added. One that comes when another tab is done with its job already goes too. */
  async #copy(id, seq, keep) {
    await keep();
    this.#unseen.push({ id, seq });
    if (this.#unseen.length > 1) return; // somebody looks already
    this.#look().catch(() => {
      this.#unseen = [];
    });
  }

  /** Looks whether the jobs of new copies are there still. */
  async #look() {
    while (this.#unseen.length > 0 && !this.#isClosed) {
      const [ids, places] = ["id", "seq"].map((name) => this.#unseen.map((job) => job[name]));
      const known = await this.known(ids, places);
      await this.#copies.forget(ids.filter((_, at) => !known[at]));
      this.#unseen.splice(0, ids.length);
    }
  }

  /**
   * Puts a removal in the place of its image's job, if that is of this revision still, or there is none still.
   * @param {JobRecord} record @param {string} id @param {number | undefined} revision
   * @returns {Promise<number | "known" | "outdated">}
   */
  async supersede(record, id, revision) {
    const late = await this.#forget([id]);
    return this.#putIn(record, new ArrayBuffer(0), async (transaction, putIt) => {
      const [[job, known], totals] = await Promise.all([found(transaction, [id, record.id]), totalsOf(transaction)]);
      if ((job && (job.revision ?? 0)) !== revision) return "outdated";
      await Promise.all([...note(transaction, job ? late : []), ...remove(transaction, totals, [id], [job])]);
      if (!known) return putIt(totals);
      await last(transaction, [setTotals(transaction, totals)]);
      return "known";
    });
  }

  /** The records after a place, the oldest first. @param {number} [after] @param {number} [most] @returns {Promise<JobRecord[]>} */
  records(after = 0, most = undefined) {
    const range = IDBKeyRange.lowerBound(after, true);
    return this.#transact(["jobs"], "readonly", (transaction) => transaction.objectStore("jobs").getAll(range, most));
  }

  /** @param {string} id @returns {Promise<JobRecord | undefined>} */
  record(id) {
    return this.#transact(["jobs"], "readonly", (transaction) => transaction.objectStore("jobs").index("id").get(id));
  }

  /**
   * Jobs that wait, as lists of id, place, time, revision and text, by the index: those after a time (and place) up to
   * another time.
   * @param {"due" | "waitSetAt" | "suspect"} index @param {Float64Array | undefined} after
   * @param {number} until @param {number} most
   */
  async page(index, after, until, most) {
    const key = (...key) => (index === "due" ? key : key[0]);
    const last = key(until, Number.POSITIVE_INFINITY);
    const from = after && key(...after);
    if (after && indexedDB.cmp(from, last) >= 0) return []; // the clock has been put back
    const range = after ? IDBKeyRange.bound(from, last, true) : IDBKeyRange.upperBound(last);
    const records = await this.#transact(["jobs"], "readonly", (transaction) =>
      transaction.objectStore("jobs").index(index).getAll(range, most),
    );
    return records.map((record) => this.#told(record));
  }

  /** How many jobs wait, and until when the first. */
  outlook() {
    return this.#transact(["jobs", "settings"], "readonly", async (transaction) => {
      const first = await transaction.objectStore("jobs").index("due").openKeyCursor();
      const { waiting } = await totalsOf(transaction);
      // None is in the index where somebody else has written into the database.
      return [first ? waiting : 0, first?.key[0]];
    });
  }

  /** One job as `page` tells it. @param {string} id */
  async stored(id) {
    const record = await this.record(id);
    return record && this.#told(record);
  }

  #told(record) {
    const { id, seq, notBefore = 0, revision = 0, text } = record;
    // A text of another job than its record's can't be kept under its id, and would be tried for ever.
    return [id, seq, notBefore, revision, this.read(record) ? text : ""];
  }

  /** Which of these jobs are there, and not others under their ids. @param {string[]} ids @param {ArrayLike<number>} places */
  known(ids, places) {
    return this.#transact(["jobs"], "readonly", async (transaction) => {
      const index = transaction.objectStore("jobs").index("id");
      const keys = await Promise.all(ids.map((id) => index.getKey(id)));
      return keys.map((key, at) => key === places[at]);
    });
  }

  /**
   * The image of a job, from its copy where the database can't give it: Chromium has large values in files of their own, and one
   * that is missing is no trouble of the other jobs.
   * @param {string} id @param {number} place @returns {Promise<ArrayBuffer | undefined>}
   */
  async image(id, place) {
    const both = (transaction) =>
      Promise.all([transaction.objectStore("jobs").index("id").get(id), transaction.objectStore("images").get(id)]);
    const reading = this.#transact(["jobs", "images"], "readonly", both);
    const [record, image] = await reading.catch(async () => [await this.record(id), undefined]);
    if (record?.seq !== place) return undefined;
    const buffer = image instanceof ArrayBuffer ? image : undefined;
    if (buffer?.byteLength === record.size) return buffer;
    const copy = await this.#copies.read(id);
    return copy && copy.image.byteLength === record.size ? copy.image : buffer;
  }

  /**
   * Stores what jobs have become, false of each that is gone, and removes others with their images, false of each that another has
   * taken the id of.
   * @param {JobRecord[]} records @param {string[]} gone @param {ArrayLike<number>} places of those that are gone
   */
  async commit(records, gone, places) {
    const late = await this.#forget(gone);
    const work = async (transaction, totals) => {
      const all = await found(transaction, [...records.map(({ id }) => id), ...gone]);
      const before = { ...totals };
      const isThere = records.map(({ seq }, at) => all[at]?.seq === seq);
      const leaving = all.slice(records.length);
      const isAnother = leaving.map((record, at) => record !== undefined && record.seq !== places[at]);
      const own = (list) => list.filter((_, at) => !isAnother[at]);
      const notes = own(gone).filter((id) => late.includes(id));
      const writes = [
        ...remove(transaction, totals, own(gone), own(leaving)),
        ...records.map((record, at) => isThere[at] && rewrite(transaction, totals, all[at], record)),
      ];
      const isOther = Object.keys(totals).some((name) => totals[name] !== before[name]);
      return { notes, writes, totals: isOther && totals, result: [...isThere, ...isAnother.map((is) => !is)] };
    };
    if (records.length === 0) return this.#removing(work);
    return this.#transact(gone.length > 0 ? ALL : ["jobs", "settings"], "readwrite", (transaction) =>
      ended(transaction, work),
    );
  }

  /**
   * A transaction that only removes. Where the storage is full nothing can be written, but all be deleted (Chromium): then it is
   * done without a note, and all that is left is counted anew later.
   */
  async #removing(work) {
    try {
      return await this.#transact(ALL, "readwrite", (transaction) => ended(transaction, work));
    } catch (error) {
      if (error?.code !== "quota_exceeded") throw error;
    }
    return this.#transact(ALL, "readwrite", async (transaction) => {
      const { writes, result } = await work(transaction, { ...NONE });
      await last(transaction, [...writes, transaction.objectStore("settings").delete(TOTALS)]);
      return result;
    });
  }

  /**
   * Stores what a job has become if its record is still the same, of this revision, and no other has one of its paths.
   * @param {JobRecord} record @param {number} revision
   */
  amend(record, revision) {
    return this.#transact(["jobs", "settings"], "readwrite", async (transaction) => {
      const [[known], totals] = await Promise.all([found(transaction, [record.id]), totalsOf(transaction)]);
      if (known?.seq !== record.seq || (known.revision ?? 0) !== revision) return "outdated";
      const holders = await holdersOf(transaction, record);
      if (holders.some((seq) => seq !== known.seq)) return "path_taken";
      await last(transaction, [rewrite(transaction, totals, known, record), setTotals(transaction, totals)]);
      return "stored";
    });
  }

  /** Has jobs that can't be read wait no more. @param {string[]} ids */
  shelve(ids) {
    return this.#transact(["jobs", "settings"], "readwrite", async (transaction) => {
      const [known, totals] = await Promise.all([found(transaction, ids), totalsOf(transaction)]);
      const shelved = known.filter(Boolean).map((record) => {
        const { id, storagePath, size, text } = record;
        return rewrite(transaction, totals, record, { id, storagePath, size, text });
      });
      await last(transaction, [...shelved, setTotals(transaction, totals)]);
    });
  }

  /** Removes a job and its image; its record, if it was there. @param {string} id */
  async remove(id) {
    const late = await this.#forget([id]);
    return this.#removing(async (transaction, totals) => {
      const known = await found(transaction, [id]);
      const writes = remove(transaction, totals, [id], known);
      return { notes: known[0] ? late : [], writes, totals, result: known[0] };
    });
  }

  /** Removes all jobs and images. */
  async clear() {
    const isLate = await this.#forget();
    return this.#removing(async (transaction, totals) => {
      const [jobs, images] = ["jobs", "images"].map((store) => transaction.objectStore(store));
      const notes = isLate ? await images.getAllKeys() : [];
      return { notes, writes: [jobs.clear(), images.clear()], totals: { ...totals, count: 0 } };
    });
  }

  /** @param {string} name */
  setting(name) {
    return this.#transact(["settings"], "readonly", (transaction) => transaction.objectStore("settings").get(name));
  }

  /** Without a value it is deleted, which also a full storage allows. @param {string} name @param {unknown} [value] */
  set(name, value) {
    return this.#transact(["settings"], "readwrite", async (transaction) => {
      const settings = transaction.objectStore("settings");
      await (value === undefined ? settings.delete(name) : settings.put(value, name));
    });
  }

  async close() {
    this.#isClosed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    (await opening?.catch(() => undefined))?.close();
  }

  async #transact(stores, mode, work, again = true) {
    try {
      return await transact(await this.#database(), stores, mode, work);
    } catch (error) {
      // The browser closed the connection, or another tab asked for it: once more over a new one.
      if (again && error?.name === "InvalidStateError") {
        this.#opening = undefined;
        return this.#transact(stores, mode, work, false);
      }
      throw toFailure(error);
    } finally {
      // What was under way is done still, and leaves no connection behind.
      if (this.#isClosed) await this.close();
    }
  }

  #database() {
    const forget = () => {
      this.#opening = undefined;
    };
    const open = (begun) =>
      openDB(this.#name, VERSION, {
        upgrade: (database, oldVersion, _, transaction) => {
          begun();
          return upgrade(database, oldVersion, transaction, this.#ownerUserId);
        },
        // A newer version of this package waits in another tab: let it.
        blocking: (_current, _blocked, event) => {
          event.target.close();
          forget();
        },
        terminated: forget,
      });
    this.#opening ??= opened(open)
      .then(async (database) => {
        // What can't be put back now (a full disk) stays where it is, and is tried again at the next opening.
        const { wasLost, count, isOff } = await stateOf(database);
        if (isOff) await transact(database, ["jobs", "settings"], "readwrite", recount).catch(() => undefined);
        // A browser that finds a database damaged deletes it whole. Where there are very many, that one has lost a part only is seen
        // when there are fewer, since the caches can't list theirs by parts.
        if (!this.#isClosed && (wasLost || count <= LISTED_AT_ONCE))
          await this.#restore(database, wasLost).catch(() => undefined);
        return database;
      })
      .catch((error) => {
        forget();
        throw error;
      });
    return this.#opening;
  }

  /** Puts the jobs back that the database lost; those that had arrived since they were accepted are sent in vain. */
  async #restore(database, wasLost) {
    // In this order: of a job that another tab removes meanwhile the copy is gone before the job is.
    const copied = await this.#copies.ids();
    const [notes, known] = await transact(database, ["jobs", "settings"], "readonly", (transaction) => {
      const [jobs, settings] = ["jobs", "settings"].map((store) => transaction.objectStore(store));
      return Promise.all([
        Promise.all([settings.getAllKeys(notesRange()), settings.getAll(notesRange())]),
        Promise.all(copied.map((id) => jobs.index("id").getKey(id))),
      ]);
    });
    const forgotten = new Set(notes[0].map(([, id]) => id));
    for (const id of copied.filter((_, at) => known[at] === undefined)) {
      if (forgotten.has(id)) await this.#copies.forget([id]);
      else await this.#putBack(database, id);
    }
    if (this.#copies.isStuck) return;
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
  async #putBack(database, id) {
    const copy = await this.#copies.read(id);
    const record = copy?.record?.id === id && renewed(copy.record, this.#ownerUserId);
    if (!record || !this.read(record)) return;
    await transact(database, ALL, "readwrite", async (transaction) => {
      // Another tab may be as quick.
      if (await transaction.objectStore("jobs").index("id").getKey(id)) return;
      // An image that was accepted since goes to its path; once that is there, it may come back.
      if ((await holdersOf(transaction, record)).length > 0) return;
      await put(transaction, await totalsOf(transaction), record, copy.image);
    });
  }
}

/** Whether what a database before this one held may not be back in it yet, how many jobs there are, and whether the totals say otherwise. */
function stateOf(database) {
  return transact(database, ["jobs", "settings"], "readonly", async (transaction) => {
    const [jobs, settings] = ["jobs", "settings"].map((store) => transaction.objectStore(store));
    const [wasLost, totals, count] = await Promise.all([settings.get(NEW), settings.get(TOTALS), jobs.count()]);
    return { wasLost: wasLost !== undefined, count, isOff: totals?.count !== count };
  });
}

/** Counts anew what a database holds that has lost a part. */
async function recount(transaction) {
  const known = await transaction.objectStore("settings").get(TOTALS);
  const totals = await recounted(transaction);
  await last(transaction, [setTotals(transaction, { ...totals, last: Math.max(totals.last, known?.last || 0) })]);
}

async function transact(database, stores, mode, work) {
  const transaction = database.transaction(stores, mode, mode === "readwrite" ? DURABLE : undefined);
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

/** Whether a transaction that was to be aborted is. */
function isAborted(transaction) {
  try {
    transaction.abort();
    return true;
  } catch {
    return false;
  }
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
  const opening = open(begun);
  try {
    await within(OPEN_MS, Promise.race([opening, isBegun]));
    return await within(TRANSACTION_MS, opening);
  } catch (error) {
    opening.then(
      (database) => database.close(),
      () => undefined,
    );
    throw error;
  }
}

/** A job's text as an object; nothing of one that is damaged. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a job's text is about the job whose record holds it, and what it has as JSON is that. */
function agrees(job, record) {
  if (typeof job?.id !== "string" || job.id !== record.id) return false;
  if (job.size !== record.size || job.storagePath !== pathOf(record)) return false;
  const { sidecar = "{}", columns = "{}", costUsdEstimate = "0" } = job.request ?? {};
  const areObjects = [sidecar, columns].every((text) => typeof parse(text) === "object");
  return areObjects && typeof parse(costUsdEstimate) === "number";
}

/** Where a record's job goes, which is the first of its paths; an empty text where that is not known. @param {JobRecord} record */
export function pathOf(record) {
  return [record.storagePath].flat()[0] ?? "";
}

/** The places of the jobs that have one of a record's paths. */
async function holdersOf(transaction, record) {
  const index = transaction.objectStore("jobs").index("storagePath");
  const holders = await Promise.all([record.storagePath].flat().map((path) => index.getAllKeys(path)));
  return holders.flat();
}

/** The records of these jobs; nothing of those that are gone. */
function found(transaction, ids) {
  const index = transaction.objectStore("jobs").index("id");
  return Promise.all(ids.map((id) => index.get(id)));
}

/** @returns {Promise<Totals>} */
async function totalsOf(transaction) {
  const totals = await transaction.objectStore("settings").get(TOTALS);
  const names = ["count", "bytes", "waiting", "last"];
  return names.every((name) => Number.isFinite(totals?.[name])) ? totals : recounted(transaction);
}

function setTotals(transaction, totals) {
  // What a damaged record had said of itself does not outlive the last job.
  const { count, last } = totals;
  const known = count > 0 ? totals : { ...NONE, last };
  return transaction.objectStore("settings").put(known, TOTALS);
}

/** The totals by looking at every job: for a database that is new here, or that somebody else wrote into. */
async function recounted(transaction) {
  const totals = { ...NONE };
  for await (const page of pagesOf(transaction.objectStore("jobs"))) {
    for (const record of page) count(totals, record, 1);
    totals.last = page.at(-1).seq;
  }
  return totals;
}

/** All records, by pages: a cursor would take a question to another process for each. */
async function* pagesOf(jobs) {
  let page = await jobs.getAll(undefined, PAGE);
  while (page.length > 0) {
    yield page;
    page = await jobs.getAll(IDBKeyRange.lowerBound(page.at(-1).seq, true), PAGE);
  }
}

/** Counts a job, or one that is gone by -1. */
function count(totals, { size, due }, by) {
  totals.count += by;
  totals.bytes += Number.isFinite(size) ? by * size : 0;
  totals.waiting += due ? by : 0;
}

/** A record in its place, with what the index of those that wait needs. */
function placed(record, seq) {
  const { notBefore } = record;
  return { ...record, seq, ...(Number.isFinite(notBefore) && { due: [notBefore, seq] }) };
}

/** Writes what has become of a job whose record is known. */
function rewrite(transaction, totals, known, record) {
  const next = placed({ ...record, revision: (known.revision ?? 0) + 1 }, known.seq);
  count(totals, known, -1);
  count(totals, next, 1);
  return transaction.objectStore("jobs").put(next);
}

/** Notes that these jobs are gone, where their copies may not be. @param {string[]} ids */
function note(transaction, ids) {
  return ids.map((id) => transaction.objectStore("settings").put(Date.now(), noteOf(id)));
}

/** Adds a job in the next place, which it gives. */
async function put(transaction, totals, record, image) {
  const seq = totals.last + 1;
  const next = placed(record, seq);
  count(totals, next, 1);
  await last(transaction, [
    transaction.objectStore("jobs").add(next),
    transaction.objectStore("images").put(image, record.id),
    transaction.objectStore("settings").delete(noteOf(record.id)),
    setTotals(transaction, { ...totals, last: seq }),
  ]);
  return seq;
}

/** Ends a transaction with what `work` would write and note in it, and with the totals where it gives some. */
async function ended(transaction, work) {
  const { notes, writes, totals, result } = await work(transaction, await totalsOf(transaction));
  const all = [...writes, ...note(transaction, notes)];
  await last(transaction, totals ? [...all, setTotals(transaction, totals)] : all);
  return result;
}

/** Waits for a transaction's last requests. It commits with them: by itself it would do so when they are answered. */
async function last(transaction, requests) {
  transaction.commit();
  await Promise.all(requests);
}

/** Removes jobs and images, whose records are known as far as there are any. */
function remove(transaction, totals, ids, known) {
  const images = ids.map((id) => transaction.objectStore("images").delete(id));
  const jobs = known.filter(Boolean).map((record) => {
    count(totals, record, -1);
    return transaction.objectStore("jobs").delete(record.seq);
  });
  return [...images, ...jobs];
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

function toFailure(cause) {
  if (cause?.name === "QuotaExceededError") {
    return failed("outbox", "quota_exceeded", "outbox: the browser's storage is full", { retryable: true, cause });
  }
  if (cause?.name === "VersionError") {
    return failed("outbox", "outbox_too_new", "outbox: written by a newer version of imagen-cloud", { cause });
  }
  const why = cause?.message ?? String(cause);
  return failed("outbox", "storage_unavailable", `outbox: IndexedDB is not usable here: ${why}`, { cause });
}
