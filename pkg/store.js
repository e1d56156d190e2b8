// The outbox's store over IndexedDB: every method is one transaction, durable when it resolves.
import { Copies } from "./copies.js";
import { failed } from "./errors.js";
import { openDB } from "./wasm/idb.js";

const VERSION = 1;
const DURABLE = { durability: "strict" };
/** The setting with the ids of removed jobs whose copies may still be there. */
const FORGOTTEN = "forgotten";

/** How long the opening of a database is waited for. */
const OPEN_MS = 10_000;
/** The same of a transaction, which may stand behind many others with large images. */
const TRANSACTION_MS = 60_000;

/** A job as it is stored: what the store itself looks at, and the job's JSON text. */
/** @typedef {{ seq?: number, id: string, storagePath: string, size: number, text: string }} JobRecord */

export class Store {
  #name;
  #copies;
  #opening;

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
    return agrees(job, record, this.#ownerUserId) ? job : undefined;
  }

  /**
   * Adds a job with its image, unless its id, its path or the limits forbid it.
   * @param {JobRecord} record
   * @param {ArrayBuffer} image
   * @param {number} maxJobs
   * @param {number} maxBytes
   * @returns {Promise<"new" | "known" | "id_taken" | "path_taken" | "full">}
   */
  async add(record, image, maxJobs, maxBytes) {
    const added = await this.#transact(["jobs", "images"], "readwrite", async (transaction) => {
      const jobs = transaction.objectStore("jobs");
      const known = await jobs.index("id").get(record.id);
      if (known) return known.storagePath === record.storagePath ? "known" : "id_taken";
      if (await jobs.index("storagePath").getKey(record.storagePath)) return "path_taken";
      const others = await jobs.getAll();
      const bytes = others.reduce((sum, { size }) => sum + (Number.isFinite(size) ? size : 0), record.size);
      if (others.length >= maxJobs || bytes > maxBytes) return "full";
      await put(transaction, record, image);
      return "new";
    });
    if (added === "new") await this.#copies.keep(record, image);
    return added;
  }

  /** All jobs' records, the oldest first. @returns {Promise<JobRecord[]>} */
  records() {
    return this.#transact(["jobs"], "readonly", (transaction) => transaction.objectStore("jobs").getAll());
  }

  /** All jobs' texts, the oldest first. */
  async texts() {
    // A text of another job than its record's can't be kept under its id, and would be tried for ever.
    const records = (await this.records()).filter((record) => this.read(record));
    return records.map(({ text }) => text);
  }

  /** @param {string} id @returns {Promise<ArrayBuffer | undefined>} */
  async image(id) {
    const image = await this.#transact(["images"], "readonly", (transaction) =>
      transaction.objectStore("images").get(id),
    );
    return image instanceof ArrayBuffer ? image : undefined;
  }

  /** Stores what a job has become; false if it is gone. @param {JobRecord} record */
  update(record) {
    return this.#transact(["jobs"], "readwrite", async (transaction) => {
      const jobs = transaction.objectStore("jobs");
      const seq = await jobs.index("id").getKey(record.id);
      if (seq === undefined) return false;
      await jobs.put({ ...record, seq });
      return true;
    });
  }

  /** Removes a job and its image; false if it is gone. @param {string} id */
  async remove(id) {
    await this.#copies.forget(id);
    return this.#transact(["jobs", "images", "settings"], "readwrite", async (transaction) => {
      const jobs = transaction.objectStore("jobs");
      if (this.#copies.isStuck) await remember(transaction, [id]);
      const seq = await jobs.index("id").getKey(id);
      await transaction.objectStore("images").delete(id);
      if (seq === undefined) return false;
      await jobs.delete(seq);
      return true;
    });
  }

  /** Removes all jobs and images. */
  async clear() {
    await this.#copies.clear();
    return this.#transact(["jobs", "images", "settings"], "readwrite", async (transaction) => {
      const jobs = transaction.objectStore("jobs");
      if (this.#copies.isStuck)
        await remember(
          transaction,
          (await jobs.getAll()).map(({ id }) => id),
        );
      await jobs.clear();
      await transaction.objectStore("images").clear();
    });
  }

  /** @param {string} name */
  setting(name) {
    return this.#transact(["settings"], "readonly", (transaction) => transaction.objectStore("settings").get(name));
  }

  /** @param {string} name @param {unknown} value */
  set(name, value) {
    return this.#transact(["settings"], "readwrite", async (transaction) => {
      await transaction.objectStore("settings").put(value, name);
    });
  }

  async close() {
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
    }
  }

  #database() {
    const forget = () => {
      this.#opening = undefined;
    };
    const open = () =>
      openDB(this.#name, VERSION, {
        upgrade,
        // A newer version of this package waits in another tab: let it.
        blocking: (_current, _blocked, event) => {
          event.target.close();
          forget();
        },
        terminated: forget,
      });
    this.#opening ??= opened(open())
      .then(async (database) => {
        // What can't be put back now (a full disk) stays where it is, and is tried again at the next opening.
        await this.#restore(database).catch(() => undefined);
        return database;
      })
      .catch((error) => {
        forget();
        throw error;
      });
    return this.#opening;
  }

  /** Puts the jobs back that the database lost; those that had arrived since they were accepted are sent in vain. */
  async #restore(database) {
    // In this order: of a job that another tab removes meanwhile the copy is gone before the job is.
    const copied = await this.#copies.ids();
    const [forgotten, ...known] = await transact(database, ["jobs", "settings"], "readonly", (transaction) =>
      Promise.all([
        transaction.objectStore("settings").get(FORGOTTEN),
        ...copied.map((id) => transaction.objectStore("jobs").index("id").getKey(id)),
      ]),
    );
    const isForgotten = (id) => Array.isArray(forgotten) && forgotten.includes(id);
    for (const id of copied.filter((_, at) => known[at] === undefined)) {
      if (isForgotten(id)) {
        await this.#copies.forget(id);
        continue;
      }
      const copy = await this.#copies.read(id);
      if (copy?.record?.id !== id || !this.read(copy.record)) continue;
      await transact(database, ["jobs", "images"], "readwrite", async (transaction) => {
        // Another tab may be as quick.
        if (await transaction.objectStore("jobs").index("id").getKey(id)) return;
        await put(transaction, copy.record, copy.image);
      });
    }
    if (!forgotten || this.#copies.isStuck) return;
    await transact(database, ["settings"], "readwrite", (transaction) =>
      transaction.objectStore("settings").delete(FORGOTTEN),
    );
  }
}

async function transact(database, stores, mode, work) {
  const transaction = database.transaction(stores, mode, mode === "readwrite" ? DURABLE : undefined);
  try {
    const [result] = await within(TRANSACTION_MS, Promise.all([work(transaction), transaction.done]));
    return result;
  } catch (error) {
    abort(transaction); // what is told to have failed is not done later
    throw error;
  }
}

function abort(transaction) {
  try {
    transaction.abort();
  } catch {
    // it has ended
  }
}

/** The database; one that opens when nobody waits any more is closed. */
async function opened(opening) {
  try {
    return await within(OPEN_MS, opening);
  } catch (error) {
    opening.then(
      (database) => database.close(),
      () => undefined,
    );
    throw error;
  }
}

/** What is waited for, but not for ever. */
function within(ms, waiting) {
  let timer;
  const patience = new Promise((_, reject) => {
    timer = setTimeout(reject, ms, new Error(`no answer within ${ms / 1000} s`));
  });
  return Promise.race([waiting, patience]).finally(() => clearTimeout(timer));
}

/** A job's text as an object; nothing of one that is damaged. */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a job's text, its row and what the Worker is told are about the job whose record holds them. */
function agrees(job, record, ownerUserId) {
  if (typeof job?.id !== "string") return false;
  if (!["id", "storagePath", "size"].every((name) => job[name] === record[name])) return false;
  const row = parse(job.row);
  const isRow = row?.id === job.id && row.storage_path === job.storagePath;
  const isOwners = String(row?.owner_user_id).toLowerCase() === ownerUserId.toLowerCase();
  return isRow && isOwners && (!job.request || parse(job.request)?.imageId === job.id);
}

/** Notes that these jobs are gone, where their copies may not be. */
async function remember(transaction, ids) {
  const settings = transaction.objectStore("settings");
  const known = await settings.get(FORGOTTEN);
  await settings.put([...(Array.isArray(known) ? known : []), ...ids], FORGOTTEN);
}

async function put(transaction, record, image) {
  await transaction.objectStore("jobs").add(record);
  await transaction.objectStore("images").put(image, record.id);
}

/** Every version adds what the one before it lacks, and keeps the jobs. */
function upgrade(database, oldVersion) {
  if (oldVersion < 1) {
    const jobs = database.createObjectStore("jobs", { keyPath: "seq", autoIncrement: true });
    jobs.createIndex("id", "id", { unique: true });
    jobs.createIndex("storagePath", "storagePath");
    database.createObjectStore("images");
    database.createObjectStore("settings");
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
