// The outbox's store over IndexedDB: every method is one transaction, durable when it resolves.
import { Copies } from "./copies.js";
import { ALL, closed, open, transact } from "./database.js";
import { failed } from "./errors.js";
import {
  ended,
  found,
  holdersOf,
  jobOf,
  last,
  NONE,
  note,
  pathOf,
  put,
  remove,
  rewrite,
  setTotals,
  TOTALS,
  totalsOf,
} from "./records.js";
import { isUnreadable, mend, recover } from "./recovery.js";

/** How a connection says that it is closed, or dead: Safari's may be when its page comes back from the background. */
const LOST = ["InvalidStateError", "UnknownError", "AbortError"];
/** How long new copies wait until it is looked whether their jobs are there still: of many at once, and beside no enqueue. */
const LOOK_MS = 1000;

/** @typedef {import("./records.js").JobRecord} JobRecord */

export class Store {
  #name;
  #copies;
  /** The ids of the jobs whose copies are written, and that nobody has looked for since. */
  #unseen = new Set();
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
    return jobOf(record);
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
      if (typeof added === "number") await this.#keep(id, keep);
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

  /** Keeps the copy of a job that was added. One that comes when another tab is done with its job already goes too, a while later. */
  async #keep(id, keep) {
    await keep();
    this.#unseen.add(id);
    if (this.#unseen.size === 1) setTimeout(() => this.#look().catch(() => undefined), LOOK_MS);
  }

  /** Looks whether the jobs of new copies are there still. */
  async #look() {
    const ids = [...this.#unseen];
    this.#unseen.clear();
    if (this.#isClosed) return;
    const places = await this.#placesOf(ids);
    await this.#copies.forget(ids.filter((id, at) => places[at] === undefined && !this.#coming.has(id)));
  }

  /**
   * Puts a removal in the place of its image's job, if that is of this revision still, or there is none still. Where the storage is
   * full for that, the job goes all the same, and may have made room.
   * @param {JobRecord} record @param {string} id @param {number | undefined} revision
   * @returns {Promise<number | "known" | "outdated">}
   */
  async supersede(record, id, revision) {
    const late = await this.#forget([id]);
    const isSame = (job, revision) => (job && (job.revision ?? 0)) === revision;
    const replace = (revision) =>
      this.#putIn(record, new ArrayBuffer(0), async (transaction, putIt) => {
        const [[job, known], totals] = await Promise.all([found(transaction, [id, record.id]), totalsOf(transaction)]);
        if (!isSame(job, revision)) return "outdated";
        await Promise.all([...note(transaction, job ? late : []), ...remove(transaction, totals, [id], [job])]);
        if (!known) return putIt(totals);
        if (job) await last(transaction, [setTotals(transaction, totals)]);
        return "known";
      });
    try {
      return await replace(revision);
    } catch (error) {
      if (error?.code !== "quota_exceeded") throw error;
    }
    const isGone = await this.#removing(async (transaction, totals) => {
      const known = await found(transaction, [id]);
      const result = isSame(known[0], revision);
      return {
        notes: result ? late : [],
        writes: result ? remove(transaction, totals, [id], known) : [],
        totals,
        result,
      };
    });
    return isGone ? replace(undefined) : "outdated";
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
  async known(ids, places) {
    return (await this.#placesOf(ids)).map((place, at) => place === places[at]);
  }

  /** The places of jobs, as far as they are there. */
  #placesOf(ids) {
    return this.#transact(["jobs"], "readonly", (transaction) => {
      const index = transaction.objectStore("jobs").index("id");
      return Promise.all(ids.map((id) => index.getKey(id)));
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
    const opening = this.#database();
    try {
      return await transact(await opening, stores, mode, work);
    } catch (error) {
      // The browser closed the connection, or another tab asked for it; or it is dead, and each try over it would fail: once more
      // over a new one. One that does not answer is left, too.
      const isLost = LOST.includes(error?.name);
      if (isLost || !(error instanceof DOMException)) this.#leave(opening);
      if (again && isLost) return this.#transact(stores, mode, work, false);
      // Of an image `image` knows what to do.
      const isRecord = mode === "readwrite" || !stores.includes("images");
      if (again && isRecord && isUnreadable(error)) {
        const mending = this.#database().then((database) => mend(database, this.#copies, this.#ownerUserId));
        await mending.catch(() => undefined);
        return this.#transact(stores, mode, work, false);
      }
      throw toFailure(error);
    } finally {
      // What was under way is done still, and leaves no connection behind.
      if (this.#isClosed) await this.close();
    }
  }

  /** Has the next transaction go over a new connection. */
  #leave(opening) {
    if (this.#opening === opening) this.#opening = undefined;
    closed(opening);
  }

  #database() {
    this.#opening ??= this.#openAnew();
    return this.#opening;
  }

  #openAnew() {
    const opening = open(this.#name, this.#ownerUserId, () => this.#leave(opening)).then(async (database) => {
      try {
        await recover(database, this.#copies, this.#ownerUserId, () => this.#isClosed);
        return database;
      } catch (error) {
        database.close();
        throw error;
      }
    });
    opening.catch(() => this.#leave(opening));
    return opening;
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
