// What is the browser's about an outbox: one tab drains at a time (Web Locks), all hear of every change
// (BroadcastChannel), and it wakes when there is reason to. What happens to a job is decided in the WebAssembly.
import { failed, isImagenCloudError } from "./errors.js";
import { disposable, Handle, targetOf } from "./handle.js";
import { openChannel, withLock } from "./lock.js";
import { pathOf } from "./records.js";
import { Store } from "./store.js";
import { Outbox as Courier, Relay } from "./wasm/imagen_cloud_outbox.js";

/** Of whose build the sinks and relays must be. */
const ENTRY = "imagen-cloud/outbox";

/** The tag of the Background Sync that a service worker is woken by. */
const SYNC_TAG = "imagen-cloud-outbox";
/** How long it waits after a drain that found nobody signed in, or no store, and where nobody can tell of anything, in ms. */
const SIGNED_OUT_MS = 30_000;
/** How long it waits where the browser calls itself offline, which is a hint and no more. */
const OFFLINE_MS = 5000;
/** Jobs that are read at once. */
const PAGE = 100;
/** How many of many requests are stored side by side: their images are read while others are written. */
const STORED_AT_ONCE = 4;
/** How long it waits after a drain that left a job which is due, and after another tab has told of one. */
const IDLE_MS = 1000;
/** The longest wait that `setTimeout` knows. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** States of a job that a drain, or the Worker, has in hand. */
const UNDER_WAY = ["uploading", "uploaded", "handed-over"];
/** What of a job is told; all else that the database holds is the outbox's own. */
const TOLD = ["id", "position", "storagePath", "state", "size", "createdAt", "attempts", "notBefore", "waitAsked"];

/** What callers see, beside `onChange`. */
const METHODS = [
  "enqueue",
  "enqueueMany",
  "drain",
  "list",
  "job",
  "image",
  "retry",
  "remove",
  "discard",
  "clear",
  "pause",
  "resume",
  "isPaused",
  "close",
];

export class Outbox {
  #name;
  #store;
  #courier;
  #channel;
  #options;
  #listeners = new Set();
  /** What was told last of those jobs that are under way, by their ids. That one is being uploaded is not stored. */
  #underWay = new Map();
  #closing = new AbortController();
  /** The drain that waits for the lock: later wishes join it. */
  #queued;
  /** Aborts the drain that holds the lock. */
  #draining;
  #isDurabilityAsked = false;
  #timer;
  /** When the timer is due, by the clock that nobody puts back. */
  #timerDue = Number.POSITIVE_INFINITY;

  /**
   * @param {import("./wasm/imagen_cloud_outbox.js").Sink | Relay} target
   * @param {import("./outbox.d.ts").OutboxOptions} options
   */
  static async open(target, options = {}) {
    if (globalThis.navigator?.locks === undefined) {
      const message =
        "outbox: Web Locks are missing: an old browser, a page that is not served over HTTPS, or no browser at all, as in " +
        "tests with jsdom. There use a sink, or run the tests in a browser";
      throw failed("outbox", "storage_unavailable", message);
    }
    const outbox = new Outbox(target, options);
    try {
      // Opens the database, so that a broken one is told of now.
      await outbox.isPaused();
    } catch (error) {
      await outbox.close();
      throw error;
    }
    if (outbox.#options.automatic) {
      outbox.#listen();
      outbox.#wake(true);
    }
    const onChange = (listener) => outbox.onChange(listener);
    const handle = Object.assign(new Handle(METHODS, () => outbox), { onChange });
    return disposable(handle, "asyncDispose", () => outbox.close());
  }

  constructor(target, options) {
    this.#store = new Store(target.ownerUserId, target.ownerAsGiven);
    this.#name = this.#store.name;
    const changed = (id, state, text) => this.#changed(id, state, text);
    this.#courier =
      target instanceof Relay
        ? Courier.forRelay(target, this.#store, options, changed)
        : new Courier(target, this.#store, options, changed);
    const { automatic, serviceWorker } = readOf("config", "options", () => ({ ...options }));
    this.#options = { automatic: automatic ?? true, serviceWorker };
    this.#channel = openChannel(this.#name);
    this.#channel?.addEventListener("message", ({ data }) => this.#heard(data));
  }

  async enqueue(request) {
    const result = await this.#open().enqueue(request);
    this.#askForDurability();
    this.#askForSync();
    if (this.#options.automatic) this.#wake(false);
    return result;
  }

  async enqueueMany(requests) {
    this.#open();
    // As they are now: the caller's array may be another one before the last is stored.
    const all = readOf("request", "requests", () => Array.isArray(requests) && [...requests]);
    if (!all) throw failed("request", "invalid_request", "requests: must be an array", { field: "requests" });
    const outcomes = [];
    const queue = all.entries();
    const lane = async () => {
      for (const [at, request] of queue) {
        outcomes[at] = await this.enqueue(request).then(
          (stored) => ({ ok: true, ...stored }),
          (error) => ({ ok: false, error }),
        );
      }
    };
    await Promise.all(Array.from({ length: STORED_AT_ONCE }, lane));
    return outcomes;
  }

  async drain() {
    this.#open();
    const { done, failed, waiting, stopped } = await this.#drain(true);
    return { done, failed, waiting, ...(stopped && { stopped }) };
  }

  async list(options) {
    this.#open();
    const { after, limit } = readOf("request", "options", () => ({ ...options }));
    const records = await this.#store.records(countOf("after", after, 0), countOf("limit", limit, 1));
    return records.map((record) => this.#tellOf(record));
  }

  async job(given) {
    this.#open();
    const id = idOf(given);
    const record = await this.#store.record(id);
    if (!record) throw missing(id);
    return this.#tellOf(record, true);
  }

  async image(given) {
    this.#open();
    const id = idOf(given);
    const record = await this.#store.record(id);
    if (!record) throw missing(id);
    const job = this.#tellOf(record);
    if (job.removes !== undefined) throw failed("outbox", "invalid_state", "outbox: a removal has no image");
    const image = await this.#store.image(id, record.seq);
    // Of a damaged job the image may be all that is left.
    const isWhole = image instanceof ArrayBuffer && (job.mimeType === "" || image.byteLength === job.size);
    if (!isWhole) {
      throw failed("outbox", "job_unreadable", "outbox: the image of this job can't be read any more");
    }
    return new Blob([image], { type: job.mimeType });
  }

  async retry(given, changes) {
    const id = idOf(given);
    if (changes === undefined) await this.#open().retry(id);
    else await this.#mend(id, changes);
    if (this.#options.automatic) this.#wake(false);
  }

  async #mend(id, changes) {
    const changed = readOf("request", "changes", () => ({ ...changes }));
    const fixed = ["image", "imageId"].find((field) => changed[field] !== undefined);
    if (fixed) {
      throw failed("request", "invalid_request", `${fixed}: is the job's own, and stays`, { field: fixed });
    }
    const { state, request } = await this.job(id);
    if (state !== "failed") {
      throw failed("outbox", "invalid_state", "outbox: only a job that has failed can be changed");
    }
    const image = await this.image(id);
    await this.#open().mend({ ...request, ...changed, imageId: id, image });
  }

  async remove(imageId) {
    await this.#open().remove(idOf(imageId));
    this.#askForSync();
    if (this.#options.automatic) this.#wake(false);
  }

  async discard(given) {
    this.#open();
    const id = idOf(given);
    const record = await this.#store.remove(id);
    if (!record) throw missing(id);
    this.#letGo([this.#gone(record)]);
  }

  async clear() {
    this.#open();
    const gone = [];
    // By pages: what is remembered of a job is little.
    for (let page, after = 0; page?.length !== 0; after = page.at(-1)?.seq) {
      page = await this.#store.records(after, PAGE);
      gone.push(...page.map((record) => this.#gone(record)));
    }
    await this.#store.clear();
    this.#letGo(gone);
  }

  /** What has to be known of a job that was. */
  #gone(record) {
    return { id: String(record.id), uploadId: this.#store.read(record)?.uploadId };
  }

  #tellOf(record, isWhole = false) {
    const job = this.#store.read(record);
    const told = tellOf(job && Courier.isJob(`${record.text}`) ? job : undefined, record, isWhole);
    const isUploading = this.#underWay.get(told.id)?.state === "uploading";
    return told.state === "queued" && isUploading ? { ...told, state: "uploading" } : told;
  }

  async pause() {
    this.#open();
    await this.#store.set("paused", true);
    this.#draining?.abort();
    this.#tell({ state: "paused" });
  }

  async resume() {
    this.#open();
    await this.#store.set("paused");
    this.#tell({ state: "resumed" });
    if (this.#options.automatic) this.#wake(true);
  }

  async isPaused() {
    this.#open();
    return (await this.#store.setting("paused")) === true;
  }

  onChange(listener) {
    if (typeof listener !== "function") {
      throw failed("config", "invalid_config", "onChange: its argument must be a function", { field: "listener" });
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close() {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#draining?.abort();
    clearTimeout(this.#timer);
    this.#listeners.clear();
    this.#channel?.close();
    this.#courier.free();
    await this.#store.close();
  }

  #open() {
    if (this.#closing.signal.aborted) throw failed("outbox", "storage_unavailable", "outbox: it has been closed");
    return this.#courier;
  }

  #listen() {
    const { signal } = this.#closing;
    globalThis.addEventListener?.("online", () => this.#look(true), { signal });
    globalThis.document?.addEventListener(
      "visibilitychange",
      () => {
        if (document.visibilityState === "visible") this.#wake(false);
      },
      { signal },
    );
  }

  /** Of jobs that are gone: their uploads end here and in other tabs, and the server may forget them. */
  #letGo(gone) {
    for (const { id } of gone) this.#tell({ id, state: "discarded" });
    if (this.#closing.signal.aborted) return; // meanwhile: its courier is gone
    for (const { id, uploadId } of gone) {
      if (uploadId) this.#courier.abandon(String(uploadId)).catch(() => undefined);
      this.#courier.discarded(id);
    }
  }

  /** Drains without anybody waiting for the outcome: every job tells of its own. */
  #wake(forced) {
    if (this.#closing.signal.aborted) return;
    if (globalThis.navigator?.onLine === false) this.#lookIn(OFFLINE_MS);
    else this.#look(forced);
  }

  #look(forced) {
    // One under way here need not end first.
    this.#courier.lookAgain();
    this.#drain(forced).catch(() => this.#lookIn(SIGNED_OUT_MS));
  }

  /** Looks after a while, unless it does so earlier: another job may be waiting for that. */
  #lookIn(ms) {
    const due = performance.now() + ms;
    if (this.#closing.signal.aborted || due >= this.#timerDue) return;
    clearTimeout(this.#timer);
    this.#timerDue = due;
    this.#timer = setTimeout(
      () => {
        this.#timerDue = Number.POSITIVE_INFINITY;
        this.#look(false);
        this.#lookForNext().catch(() => undefined);
      },
      Math.min(ms, LONGEST_TIMER_MS),
    );
    this.#timer.unref?.();
  }

  /** The next wait to end: while an earlier look was planned none was noted, and a drain that goes on tells of none. */
  async #lookForNext() {
    const [next] = await this.#store.page("due", [Date.now(), Number.POSITIVE_INFINITY], Number.POSITIVE_INFINITY, 1);
    if (next) this.#schedule({ nextDue: next[2] });
  }

  /** Drains as soon as this tab has the outbox's lock. A wish that comes while one waits for it joins that one. */
  #drain(forced) {
    if (this.#queued) {
      this.#queued.forced ||= forced;
      return this.#queued.drained;
    }
    const queued = { forced };
    const held = async (turn) => {
      if (this.#queued === queued) this.#queued = undefined;
      return this.#drainLocked(queued.forced, turn);
    };
    queued.drained = withLock(this.#name, this.#closing.signal, held).catch((error) => {
      if (this.#queued === queued) this.#queued = undefined;
      throw error?.name === "AbortError" ? failed("outbox", "aborted", "outbox: it has been closed") : error;
    });
    this.#queued = queued;
    return queued.drained;
  }

  /** The lock may be lost to another tab: what is under way here ends then. */
  async #drainLocked(forced, { lost, isMine }) {
    const draining = new AbortController();
    this.#draining = draining;
    lost.addEventListener("abort", () => draining.abort());
    try {
      if (await this.isPaused()) draining.abort();
      else if (this.#options.automatic) this.#lookForNext().catch(() => undefined);
      const drained = await this.#open().drain(forced, draining.signal, isMine);
      this.#schedule(drained);
      return drained;
    } finally {
      // Another drain of this tab may have begun, where this one had lost the lock.
      if (this.#draining === draining) this.#draining = undefined;
    }
  }

  #schedule({ stopped, nextDue }) {
    if (!this.#options.automatic) return;
    // Without a channel nobody tells of what other tabs put in, and leave.
    if (!this.#channel) this.#lookIn(SIGNED_OUT_MS);
    if (stopped === "paused" || nextDue === undefined) return;
    const wait = nextDue - Date.now();
    this.#lookIn(stopped ? SIGNED_OUT_MS : wait > 0 ? wait : IDLE_MS);
  }

  #changed(id, state, text) {
    if (state === "progress") return this.#tell({ id, state, ...JSON.parse(text) });
    if (text === undefined) return this.#tell({ id, state });
    const job = tellOf(JSON.parse(text), { id }, state === "failed");
    this.#tell({ id, state, job });
    if (job.notBefore > Date.now()) this.#schedule({ nextDue: job.notBefore });
  }

  #tell(change) {
    if (this.#closing.signal.aborted) return this.#announce(change);
    try {
      this.#channel?.postMessage(change);
    } catch {
      // Other tabs see it when they look.
    }
    this.#announce(change);
  }

  #heard(message) {
    const change = readChange(message);
    if (!change || this.#closing.signal.aborted) return;
    if (change.state === "paused") this.#rest().catch(() => undefined);
    if (change.state === "resumed" && this.#options.automatic) this.#wake(true);
    // What another tab was told to try again may be due. That tab sends it, unless it ends first: then it is this one's turn.
    if (["queued", "uploaded", "handed-over"].includes(change.state)) {
      this.#courier.lookAgain();
      if (this.#options.automatic) this.#lookIn(IDLE_MS);
    }
    if (change.state === "discarded") this.#courier.discarded(change.id);
    this.#announce(change);
  }

  /** Ends what is under way if there is a pause: anybody of this origin may say so, but what the store says counts. */
  async #rest() {
    if (await this.isPaused()) this.#draining?.abort();
  }

  #announce(change) {
    if (change.state === "gone") return void this.#miss(change.id).catch(() => undefined);
    if (UNDER_WAY.includes(change.state)) this.#underWay.set(change.id, change);
    else if (change.state !== "progress") this.#underWay.delete(change.id);
    for (const listener of this.#listeners) {
      try {
        Promise.resolve(listener(change)).catch(() => undefined);
      } catch {
        // A listener's fault is its own affair.
      }
    }
  }

  /** A drain has not found a job any more, as when the storage was cleared. Nobody may have told so; one enqueued anew is another. */
  async #miss(id) {
    const last = this.#underWay.get(id);
    if (!last || (await this.#store.record(id)) || this.#underWay.get(id) !== last) return;
    this.#announce({ id, state: "discarded" });
  }

  async #askForSync() {
    try {
      await this.#options.serviceWorker?.sync?.register(SYNC_TAG);
    } catch {
      // There is none, or the user does not allow it.
    }
  }

  /** Asks the browser once not to clear the storage when space runs short. */
  async #askForDurability() {
    try {
      if (this.#isDurabilityAsked || !navigator.storage?.persist) return;
      this.#isDurabilityAsked = true;
      if (await this.#store.setting("persistAsked")) return;
      await this.#store.set("persistAsked", true);
      await navigator.storage.persist();
    } catch {
      // It was a wish.
    }
  }
}

/** @param {import("./outbox.d.ts").Sink | import("./outbox.d.ts").Relay} target @param {import("./outbox.d.ts").OutboxOptions} [options] */
export async function createOutbox(target, options) {
  const { own, problem } = readOf("config", "target", () => {
    const own = targetOf(target);
    return { own, problem: own ? problemOf(target) : strangeness(target) };
  });
  if (problem) {
    throw failed("config", "invalid_config", `createOutbox: its first argument ${problem}`, { field: "target" });
  }
  return Outbox.open(own, options ?? undefined);
}

const problemOf = ({ entry }) => entry !== ENTRY && `is of "${entry}", which has no outbox: make it by "${ENTRY}"`;

/** What somebody gives that this copy of the package has not made. */
const strangeness = (given) =>
  typeof given?.entry === "string"
    ? "is of another copy of imagen-cloud: have one, see npm ls imagen-cloud"
    : "must be a sink or a relay";

/** What is told of a job; one that is damaged can only be discarded. */
function tellOf(job, record, isWhole) {
  const { id, seq = job?.position, size = 0 } = record;
  if (job) {
    const isRemoval = job.removes !== undefined;
    return {
      ...pick(TOLD, job),
      position: seq,
      mimeType: job.request.mimeType,
      prompt: job.request.prompt,
      ...(isRemoval && { removes: job.removes }),
      ...(isWhole && !isRemoval && { request: requestOf(job) }),
      ...(job.error && { error: readError(job) }),
    };
  }
  const message = "outbox: this job can't be read any more";
  const error = failed("outbox", "job_unreadable", message).toJSON();
  const blank = { prompt: "", mimeType: "", createdAt: 0, attempts: 0, notBefore: 0, waitAsked: false };
  return { id, position: seq, storagePath: pathOf(record), state: "failed", size, ...blank, error };
}

/** What was enqueued, without the image, with the path's parts as they were fixed. Zeros and empty texts count as left out. */
function requestOf({ id, request: { seed, sidecar, columns, costUsdEstimate, ...request } }) {
  return {
    ...request,
    imageId: id,
    seed: BigInt(seed),
    ...(sidecar && { sidecar: JSON.parse(sidecar) }),
    ...(columns && { columns: JSON.parse(columns) }),
    ...(costUsdEstimate && { costUsdEstimate: JSON.parse(costUsdEstimate) }),
  };
}

/** What is read of a caller's object, where any getter may throw. @param {"config" | "request"} stage */
function readOf(stage, field, read) {
  try {
    return read();
  } catch (cause) {
    if (isImagenCloudError(cause)) throw cause;
    throw failed(stage, `invalid_${stage}`, `${field}: can't be read`, { field, cause });
  }
}

/** A whole number of the caller's, if one is given. */
function countOf(field, given, least) {
  if (given === undefined || given === null) return undefined;
  if (Number.isSafeInteger(given) && given >= least) return given;
  throw failed("request", "invalid_request", `list: ${field} must be a whole number from ${least} on`, { field });
}

/** A change, if this is what an outbox tells: anybody of this origin may write to its channel. */
function readChange(message) {
  const { id, state, sent, total, job } = Object(message);
  if (state === "paused" || state === "resumed") return { state };
  if (typeof id !== "string") return undefined;
  if (["done", "discarded", "gone"].includes(state)) return { id, state };
  if (state === "progress") return [sent, total].every(Number.isFinite) ? { id, state, sent, total } : undefined;
  const isJob = Courier.isState(String(state)) && job?.id === id && job.state === state;
  return isJob && typeof job.storagePath === "string" ? { id, state, job } : undefined;
}

const pick = (names, from) => Object.fromEntries(names.map((name) => [name, from[name]]));

/** Why a job failed last, as `error.toJSON()` gives it. 0.1.0 kept less than that. */
function readError({ error: { stage, code, message, ...details }, state, attempts }) {
  return failed(stage, code, message, { retryable: state !== "failed", attempts, ...details }).toJSON();
}

/** A job's id, whatever way of writing it is given. */
function idOf(given) {
  if (typeof given === "string") return Courier.idOf(given);
  throw failed("request", "invalid_request", "imageId: must be a string", { field: "imageId" });
}

const missing = (id) => failed("outbox", "job_missing", `outbox: no job ${id.slice(0, 64)}`);

/** @param {() => Outbox | Promise<Outbox>} open */
export function drainInBackground(open) {
  // Opened anew each time: another user may have signed in.
  const drain = async () => {
    const outbox = await open();
    try {
      return await outbox.drain();
    } finally {
      await outbox.close();
    }
  };
  self.addEventListener("sync", (event) => {
    if (event.tag !== SYNC_TAG) return;
    const drained = drain().then(({ waiting, stopped }) => {
      // A rejection has the browser fire the event again later.
      if (waiting > 0 && stopped !== "paused") throw failed("outbox", "unavailable", `outbox: ${waiting} jobs wait`);
    });
    event.waitUntil(drained);
  });
  drain().catch(() => undefined);
}
