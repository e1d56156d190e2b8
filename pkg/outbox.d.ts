/// <reference lib="esnext.disposable" />

/**
 * `imagen-cloud/outbox`: all that `imagen-cloud` has, and the outbox. Its WebAssembly is a larger one, and one is enough: who
 * imports from here imports nothing from there but types.
 */
import type {
  Relay as AnyRelay,
  Sink as AnySink,
  ImagenCloudErrorData,
  RelayOptions,
  SinkOptions,
  SyncOutcome,
  SyncRequest,
  SyncResult,
} from "./index.js";

export * from "./index.js";

/** A sink that an outbox may send by. */
export interface Sink extends AnySink {
  /** The entry it was made by. */
  readonly entry: "imagen-cloud/outbox";
}

/** A relay that an outbox may send by. */
export interface Relay extends AnyRelay {
  /** The entry it was made by. */
  readonly entry: "imagen-cloud/outbox";
}

/** Checks the options and makes a sink. Rejects with `invalid_config`, `secret_key_in_browser` or `load_failed`. */
export function createSink(options: SinkOptions): Promise<Sink>;

/** As `createSinkFromEnv` of `imagen-cloud`. */
export function createSinkFromEnv(env: object, options: { required: true }): Promise<Sink>;
/** The same where the environment may lack them. */
export function createSinkFromEnv(env: object, options?: { required?: boolean }): Promise<Sink | undefined>;

/** Checks the options and makes a relay. Rejects with `invalid_config`. */
export function createRelay(options: RelayOptions): Promise<Relay>;

/** How an outbox behaves. */
export interface OutboxOptions {
  /**
   * Jobs worked on at once, 1 to 16. By default 3, and up to 12 of small images: as long as those on their way have less than 2 MB
   * together.
   */
  concurrency?: number;
  /** Unfinished images kept at most. Default 1000. */
  maxJobs?: number;
  /** Bytes of unfinished images kept at most. Default 1 GiB. */
  maxBytes?: number;
  /**
   * Drain on its own: at once, when the browser comes online, when the page becomes visible, after its own waits, after
   * every `enqueue`, and when another tab that has put something in is done, or gone. Default true.
   */
  automatic?: boolean;
  /**
   * The `ServiceWorkerRegistration` of a service worker that drains when no page is open: its Background Sync is asked
   * for at every `enqueue`. (Not typed by that name, which the types of a Cloudflare Worker don't have.)
   */
  serviceWorker?: { readonly scope: string };
}

/** What an outbox knows of one image. Never holds a key, a token or a signed URL. */
export interface OutboxJob {
  /** The row's id, a UUID; of a removal its own. */
  readonly id: string;
  /** Of a removal, see `remove`: the id of the image that goes. It has no prompt, no size and no image. */
  readonly removes?: string;
  /** Its place in the outbox: the later it was enqueued, the larger. */
  readonly position: number;
  /** Where its bytes go in the bucket; of a removal where they are, or empty while that is not known. */
  readonly storagePath: string;
  /** The request's; empty where the job is damaged. */
  readonly prompt: string;
  /**
   * `uploaded`: only the row is missing. `handed-over`: a relay's Worker has it, Supabase not yet; the image is kept here
   * until it has. `failed`: refused for good, and kept.
   */
  readonly state: "queued" | "uploading" | "uploaded" | "handed-over" | "failed";
  /** Bytes of the image. */
  readonly size: number;
  /** As it is declared to Storage. */
  readonly mimeType: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** How often it was tried in vain. */
  readonly attempts: number;
  /** Milliseconds since 1970 before which it is not tried on its own. */
  readonly notBefore: number;
  /** The server asked for that wait: no `drain` comes earlier. */
  readonly waitAsked: boolean;
  /** Why it failed last. */
  readonly error?: ImagenCloudErrorData;
  /**
   * What was enqueued, without the image; of `job(id)`, and where `onChange` tells that a job has failed. Its date, `ext` and
   * `mimeType` are as they were fixed; zeros and empty texts count as left out.
   */
  readonly request?: Omit<SyncRequest, "image">;
}

/**
 * What happened to one image, in this tab or in another one. `done` and `discarded` jobs are gone from the outbox; the latter also
 * where the Worker says that the image was removed.
 */
export type OutboxChange =
  | { readonly id: string; readonly state: OutboxJob["state"]; readonly job: OutboxJob }
  | { readonly id: string; readonly state: "progress"; readonly sent: number; readonly total: number }
  | { readonly id: string; readonly state: "done" | "discarded" }
  | { readonly state: "paused" | "resumed" };

/** What a `drain` did. */
export interface Drained {
  /** Images that arrived, or were removed. */
  done: number;
  /** Images that were refused for good; they are kept as `failed`. */
  failed: number;
  /** Images that wait for another try. */
  waiting: number;
  /**
   * Why it stopped before every image was tried: nobody is signed in (`token_unavailable`), the token was refused
   * (`unauthorized`), somebody else is signed in (`wrong_user`), the outbox is paused, or a gateway lets nobody through
   * (`unavailable`).
   */
  stopped?: "token_unavailable" | "unauthorized" | "wrong_user" | "paused" | "unavailable";
}

/**
 * Images on their way, kept in IndexedDB, with a second copy in Cache Storage, until their rows are confirmed. There is one
 * outbox for every `ownerUserId`; all tabs and the service worker share it, and one of them drains at a time.
 */
export interface Outbox {
  /**
   * Resolves once image and row are durably stored here; their path and id are fixed from then on. Rejects with
   * `outbox_full`, `quota_exceeded` or `storage_unavailable` when nothing was kept, with `path_taken` for another image at
   * the path of an unfinished one, and with `invalid_request` or `invalid_image`.
   */
  enqueue(request: SyncRequest): Promise<SyncResult>;
  /** The same for many images, side by side. Resolves to an outcome each, in their order: what is refused keeps no other out. */
  enqueueMany(requests: SyncRequest[]): Promise<SyncOutcome[]>;
  /**
   * Sends what is there, the oldest first and then what waits for another try, and what is enqueued meanwhile; resolves when
   * there is nothing more to try now. Waits for another tab that drains. Rejects with `storage_unavailable` where the database
   * fails, or the browser gives nobody the lock.
   */
  drain(): Promise<Drained>;
  /** The unfinished jobs, the oldest first: all, or `limit` of them at most, and those after the `position` of another. */
  list(page?: { after?: number; limit?: number }): Promise<OutboxJob[]>;
  /**
   * One job, with the `request` that it was made of; by its id in any spelling of a UUID. Rejects with `job_missing`.
   */
  job(id: string): Promise<OutboxJob>;
  /**
   * The image of a job; here and below by its id in any spelling. Rejects with `job_missing`, or with `job_unreadable` where
   * it is damaged.
   */
  image(id: string): Promise<Blob>;
  /**
   * Makes a `failed` or waiting job ready to be tried again; an `automatic` outbox then drains. `changes` put a failed one right:
   * with the rest of its request they make a new path under the same id, and it begins at the upload again. Where its row is
   * there after all, it is done as it was; else its old object goes when the new row is there, unless a row names it. Rejects
   * with `job_missing`, and for changes with `invalid_state` (it has not failed), `path_taken` or as `enqueue` does.
   */
  retry(id: string, changes?: Partial<Omit<SyncRequest, "image" | "imageId">>): Promise<void>;
  /**
   * Has an image removed by its `imageId`, wherever it is, also while offline: resolves once that is durably stored here. What
   * the outbox has of it is forgotten at once and `discarded`, its upload ends; object, thumbnail and row go with the next drain, as by
   * `sink.remove` or `relay.remove`. Till then the removal is a job of its own, with `removes`; one that is refused is `failed`, and may be
   * tried again by `retry` or `remove`. Its path and its id take no other image before it is done (`path_taken`, `id_taken`).
   * Rejects with `invalid_request` for what is no UUID, and with `quota_exceeded` where the removal itself has no room: what the outbox
   * has of the image is forgotten all the same, for the rest ask again.
   */
  remove(imageId: string): Promise<void>;
  /**
   * Forgets a job and its image, and ends its upload. An unfinished upload in pieces is deleted at the server, an object
   * stays in the bucket. A job whose row is on its way may still arrive.
   */
  discard(id: string): Promise<void>;
  /** Forgets all jobs and images. */
  clear(): Promise<void>;
  /** Stops draining in all tabs, also after a reload, until `resume`. Uploads under way are aborted and go on later. */
  pause(): Promise<void>;
  /** Ends a pause, in all tabs; an `automatic` outbox then drains. */
  resume(): Promise<void>;
  /** Whether it is paused. */
  isPaused(): Promise<boolean>;
  /** Calls `listener` after every change, also those by other tabs. Returns what ends that. Throws if it is no function. */
  onChange(listener: (change: OutboxChange) => void): () => void;
  /** Stops listening and draining in this tab. The jobs stay. */
  close(): Promise<void>;
  /** The same at the end of a block, by `await using`; where the host has the symbol. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the outbox of the `ownerUserId` of a sink or a relay; freeing that does the outbox no harm. It is the same outbox
 * for both: what was put in for the one may go by the other. Rejects with `storage_unavailable` where there
 * is no IndexedDB or no Web Locks, `outbox_too_new`, or `invalid_config`, as for one that the other entry has made.
 */
export function createOutbox(target: Sink | Relay, options?: OutboxOptions): Promise<Outbox>;

/**
 * For an application's service worker: drains the outbox that `open` gives, and closes it, whenever the worker starts and
 * whenever Background Sync fires, also with no page open. Call it while the worker's script runs, not later. `open` builds
 * a new outbox each time, for whoever is signed in then, with a sink of its own, since functions can't be stored.
 */
export function drainInBackground(open: () => Outbox | Promise<Outbox>): void;
