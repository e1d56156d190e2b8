/**
 * `imagen-cloud/react`: hooks for React 18 and newer. They take part in sign-in, user switch and sign-out, and are safe in
 * StrictMode and on a server that renders.
 */
import type {
  ImagenCloudError,
  ImageRef,
  ListedImage,
  ListOptions,
  Outbox,
  OutboxJob,
  OutboxOptions,
  Progress,
  RelayOptions,
  Removed,
  SinkOptions,
  SyncOptions,
  SyncRequest,
  SyncResult,
} from "../outbox.js";

/**
 * Whose images they are, and how they go: what `createSink` takes, or without an `apiKey` what `createRelay` takes. The object
 * may be a new one at every rendering: it is the same user while its texts are. `accessToken` is always that of the last one.
 */
export type ImagenUser = (SinkOptions | RelayOptions) & { ownerUserId: string };

/** What {@link useOutbox} gives. */
export interface UsedOutbox {
  /** `failed` has an `error`: there is no IndexedDB, or an option is wrong. */
  readonly state: "signed-out" | "opening" | "open" | "failed";
  /** The outbox itself, once it is open. Don't close it. */
  readonly outbox?: Outbox;
  /** The unfinished images, the oldest first; of this user only. */
  readonly jobs: readonly OutboxJob[];
  /** How far those that are under way are, by the job's id. */
  readonly progress: Readonly<Record<string, { readonly sent: number; readonly total: number }>>;
  /** Why it failed, or why the jobs could not be listed, until they are. */
  readonly error?: ImagenCloudError;
  /**
   * Keeps an image, as soon as the outbox is open. The same function while it is the same user: that of an earlier one refuses,
   * so that an image which a handler waited for is not kept as somebody else's.
   */
  readonly enqueue: (request: SyncRequest) => Promise<SyncResult>;
}

/**
 * The outbox of a user, open while any component asks for it. `null` or `undefined` is nobody: signed out. `options` are those
 * of the component that asks first.
 */
export function useOutbox(user: ImagenUser | null | undefined, options?: OutboxOptions): UsedOutbox;

/** What {@link useSync} gives. */
export interface UsedSync {
  /** Of the last `sync`. */
  readonly state: "idle" | "sending" | "done" | "failed";
  /** While it is sent. */
  readonly progress?: Progress;
  /** Where it landed. */
  readonly result?: SyncResult;
  /** Why it failed. */
  readonly error?: ImagenCloudError;
  /** Sends an image, and stops one that is under way. It rejects as `sink.sync` does, and that of an earlier user refuses. */
  readonly sync: (request: SyncRequest, options?: SyncOptions) => Promise<SyncResult>;
  /** Stops it. */
  readonly cancel: () => void;
}

/** Sends an image at once. It is stopped when the component goes, and when the user changes. */
export function useSync(user: ImagenUser | null | undefined): UsedSync;

/** What of the images {@link useImages} shows. */
export type ImagesOptions = Pick<ListOptions, "limit" | "signedUrl">;

/** What {@link useImages} gives. */
export interface UsedImages {
  /** `failed` has an `error`; the images that were read before stay. */
  readonly state: "signed-out" | "loading" | "shown" | "failed";
  /** The newest first, of this user only. */
  readonly images: readonly ListedImage[];
  /** Whether there is a next page. */
  readonly hasMore: boolean;
  /** Why they could not be read. */
  readonly error?: ImagenCloudError;
  /** Reads the newest page anew, in the place of all: when one has arrived, or when links are about to end. */
  readonly refresh: () => Promise<void>;
  /** Reads the next page behind those that are there, after a refresh that is under way. */
  readonly more: () => Promise<void>;
  /** Removes an image for good, and from the list. It rejects as `sink.remove` does, and that of an earlier user refuses. */
  readonly remove: (image: ImageRef) => Promise<Removed>;
}

/** The user's images with their links, page by page. The options are those of the last rendering. */
export function useImages(user: ImagenUser | null | undefined, options?: ImagesOptions): UsedImages;
