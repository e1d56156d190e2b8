/// <reference lib="esnext.disposable" />

/**
 * imagen-cloud: moves a freshly generated image into Supabase, the bytes into Storage and one row into
 * `imagen.images`, and hands out signed URLs. Every promise that is rejected carries an {@link ImagenCloudError},
 * but for what Next.js and React throw to have a page rendered otherwise: that comes out as it is.
 *
 * There are two entries, each with a WebAssembly of its own: `imagen-cloud`, which is this one, and `imagen-cloud/outbox`, which
 * has all of this and the outbox. Import everything from one of them; the types that both have are the same.
 */

/** The package's two entries. */
export type Entry = "imagen-cloud" | "imagen-cloud/outbox";

/**
 * The bytes of an image. A `Blob` is passed on by reference where it is the host's own, otherwise read by its `arrayBuffer()`;
 * a buffer or view, shared, resizable or of another realm too, is copied once, when the call is made.
 */
export type ImageSource = Blob | ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue | undefined };

/** How a sink reaches its Supabase project. An unknown option is an error that names it and the nearest known one. */
export interface SinkOptions {
  /** The project's URL, `https://abcd.supabase.co`; trailing slashes, and a `/rest/v1` or the like, are trimmed. */
  url: string;
  /**
   * The project's address for whoever opens its links, where that is another one than `url`: for a server in one network with a
   * self-hosted Supabase, whose `url` is `http://kong:8000`. Requests go to `url`, signed URLs begin with this. Default: `url`.
   */
  publicUrl?: string;
  /**
   * The publishable (or legacy anon) key in a page; the secret (or service_role) key on a server. A secret key in a
   * page or its workers is refused, see {@link SinkOptions.dangerouslyAllowSecretKeyInBrowser}.
   */
  apiKey: string;
  /**
   * `auth.users.id` of the images' owner; fills `owner_user_id` of every row. A UUID, unless `schema` or `table` is your own.
   * Without it `sync` refuses to run; where it is an empty text and there is no `accessToken`, so do `list` and `remove`.
   */
  ownerUserId?: string;
  /**
   * A user's JWT, sent as `Authorization: Bearer`. Asked for at every attempt, and once more after the server refused
   * the token. Left out, the `apiKey` is sent. A secret key is refused in a page as one in `apiKey` is.
   */
  accessToken?: () => string | Promise<string>;
  /** The Storage bucket. Default `"imagen-generated"`. */
  bucket?: string;
  /** The PostgREST schema. Default `"imagen"`. */
  schema?: string;
  /** The table the row goes into. Default `"images"`. */
  table?: string;
  /**
   * Folders before the date in the storage path, taken as they are. Default: with `accessToken` the `ownerUserId` in lower
   * case, which row-level security asks for; otherwise none.
   */
  pathPrefix?: string;
  /** Attempts after the first one, for answers and failures that may pass. Default 2; below 0 counts as 0. */
  maxRetries?: number;
  /** The first wait in ms, doubled by every further attempt, with jitter. Default 1000. */
  initialBackoffMs?: number;
  /** The longest wait in ms. A `Retry-After` beyond it ends the call instead. Default 30000. */
  maxBackoffMs?: number;
  /**
   * An attempt without progress for that many ms is cut. Where progress can't be seen (`fetch`, and anywhere once the
   * system has taken the last byte), the time its bytes take at 16 KiB per second is added. Default 30000.
   */
  timeoutMs?: number;
  /** Images of so many bytes and more are uploaded in pieces, and resume after a fault. Default 6 MiB. */
  resumableFrom?: number;
  /** Bytes of a piece. Hosted Storage wants exactly the default, 6 MiB. */
  chunkSize?: number;
  /** `Cache-Control` of the stored object, such as `"max-age=3600"`. Default: Storage's own. */
  cacheControl?: string;
  /** Refuse bytes that are no PNG, JPEG, WebP, AVIF or GIF. Default false. */
  requireImage?: boolean;
  /**
   * A small picture beside each image, for galleries: drawn and sent in a page or its worker while the image is on its way,
   * under the image's path with `.thumb` behind it. It never holds up or fails the image: where there is no canvas, or the
   * browser does not know the format or hides what is drawn, there is none. `signedUrls` finds it by `thumbnail: true`. Default: none.
   */
  thumbnail?: ThumbnailOptions;
  /** Used instead of the global `fetch`. In Node it is given bytes, never a Blob, and nowhere a FormData. */
  fetch?: typeof globalThis.fetch;
  /**
   * Told of every request and every wait, also of an outbox over this: for logs, traces and metrics. What it throws is ignored.
   * See docs/recipes.md.
   */
  onEvent?: (event: RequestEvent) => void;
  /** Allow a secret key in a page: whoever opens the page then owns the project's data. Default false. */
  dangerouslyAllowSecretKeyInBrowser?: boolean;
}

/**
 * How a relay reaches the Worker (`www/worker`), which keeps the project's key: a page then needs none. The Worker says
 * bucket, table and folder. An unknown option is an error that names it and the nearest known one.
 */
export interface RelayOptions {
  /** The Worker's URL without its `/api`, `https://pictures.example.com`; trailing slashes are trimmed. */
  url: string;
  /** A user's JWT. Asked for at every request to the Worker, and once more after it refused the token. */
  accessToken: () => string | Promise<string>;
  /**
   * The signed-in user's id. An outbox needs it. Without it only the Worker knows where an image goes, and an error has
   * no `storagePath`.
   */
  ownerUserId?: string;
  /** As {@link SinkOptions.onEvent}. */
  onEvent?: (event: RequestEvent) => void;
  /**
   * As {@link SinkOptions.thumbnail}. It goes along with the image, which waits for its drawing for two seconds at most; one of more
   * than 256 KiB is left out.
   */
  thumbnail?: ThumbnailOptions;
  /** As {@link SinkOptions.maxRetries}. */
  maxRetries?: number;
  /** As {@link SinkOptions.initialBackoffMs}. */
  initialBackoffMs?: number;
  /** As {@link SinkOptions.maxBackoffMs}. */
  maxBackoffMs?: number;
  /** As {@link SinkOptions.timeoutMs}, but 60000 by default, since the Worker waits for Supabase in its turn. */
  timeoutMs?: number;
  /** Images of so many bytes and more go by ticket: in pieces straight to Storage, and resume. Default 6 MiB. */
  resumableFrom?: number;
  /** As {@link SinkOptions.chunkSize}. */
  chunkSize?: number;
  /** As {@link SinkOptions.fetch}. */
  fetch?: typeof globalThis.fetch;
}

/**
 * One image and what is known of it. Empty and zero values are left out of the row, except a cost of 0. The storage path
 * takes letters and digits of ASCII, spaces and `_/!.*'()&$@=;:+,?-`, and 1018 bytes in all. Through a relay or an outbox
 * `ext`, `mimeType`, `model` and `backend` may have 255 bytes, the prompt 64 KiB, the sidecar's JSON 128 KiB.
 */
export interface SyncRequest {
  /** First folder of the storage path, `YYYY-MM-DD` by custom. Default: the day of the call in UTC. */
  date?: string;
  /**
   * Name of the object before the seed; may hold slashes. It stands in the path as it is. Default: {@link slugify} of the
   * prompt, and then the path ends with a part of `imageId`, so that no two images share it. Links, and the servers' logs,
   * then show the prompt's first words: `"image"` does not.
   */
  slug?: string;
  /** Any 64-bit integer; a `number` only up to ±(2^53 - 1), a `bigint` beyond. */
  seed: number | bigint;
  /** The bytes; at least one. */
  image: ImageSource;
  /** Ending of the object's name; a dot before it is taken off. Default: by the image's bytes, else `"png"`. */
  ext?: string;
  /** MIME type. Default: by the bytes, else a Blob's own `type`, else `"image/png"`. Bytes of another type are refused. */
  mimeType?: string;
  /** What the image was made from; its SHA-256 goes into `prompt_hash`. Not shortened, no NUL, up to 2^22 characters. */
  prompt: string;
  /** What made the image, such as `"flux"`. */
  backend: string;
  /** That backend's model. Default none. */
  model?: string;
  /** A whole number of steps. Default none. */
  steps?: number;
  /** Pixels, as shown. Default: by the image's header. */
  width?: number;
  /** Pixels, as shown. Default: by the image's header. */
  height?: number;
  /** How long making the image took, in whole ms. Default none. */
  latencyMs?: number;
  /** US dollars, 0 or more; 0 is kept. Default none. */
  costUsdEstimate?: number;
  /** Anything else worth keeping, as JSON, up to 100 levels deep. Default none. */
  sidecar?: { [key: string]: JsonValue | undefined };
  /**
   * Columns of your own in the table, beside ours, by their names: `{ project_id: "…" }`. Names of ASCII letters, digits and `_`,
   * none of ours. The Worker takes those that its setting `COLUMNS` names. Default none.
   */
  columns?: { [column: string]: JsonValue | undefined };
  /** UUID of the row; the same one makes a repeated call harmless. Default: a new one. */
  imageId?: string;
}

/** What a call is doing, and how far it is. `sent` never goes back within a call. */
export interface Progress {
  /** `"done"` is told once, at the end. */
  stage: "upload" | "insert" | "done";
  /** Bytes of the image that are known to be sent. */
  sent: number;
  /** Bytes of the image. */
  total: number;
}

/** Told before every wait. */
export interface Retrying {
  /** What is being tried again. */
  stage: Stage;
  /** Why the last attempt failed. */
  code: ErrorCode;
  /** HTTP status, where there was an answer. */
  status?: number;
  /** Attempts made so far. */
  attempt: number;
  /** How long the wait is, in ms. */
  waitMs: number;
}

/** What every call takes. */
export interface CallOptions {
  /** Stops the call at once, waits included: it rejects with `aborted`. Default none. */
  signal?: AbortSignal;
  /** The whole call's limit in ms, waits included: then it rejects with `deadline_exceeded`. Default none. */
  deadlineMs?: number;
  /** Called before every wait; what it throws is ignored. */
  onRetry?: (retrying: Retrying) => void;
}

/** What a call that sends images takes. */
export interface SyncOptions extends CallOptions {
  /**
   * Called as bytes are known to be sent, on a page and in its workers many times, elsewhere piece by piece; what it
   * throws is ignored.
   */
  onProgress?: (progress: Progress) => void;
  /**
   * A link with the image: seconds, or what it shall be. It is signed while the row is inserted, and the Worker's answer
   * brings it, so that it costs no time of its own. One that can't be had within 5 s of the image fails nothing: then the
   * result's `signedUrl` is `null`. Default none.
   */
  signedUrl?: number | false | LinkOptions;
}

/** What a call that sends many images takes. Progress is over all of them, and told every 16 ms at most. */
export interface SyncManyOptions extends SyncOptions {
  /** Uploads at once, 100 at most. Default 6. */
  concurrency?: number;
}

/** What small picture goes beside an image. */
export interface ThumbnailOptions {
  /** Pixels of its longer side at most, up to 2500. Default 512; an image is never made larger. */
  side?: number;
  /** Default `"image/webp"`; a browser that can't write it, as Safari, makes a JPEG. */
  type?: "image/webp" | "image/jpeg" | "image/png";
}

/** What Storage makes of a picture on its way; hosted projects need a plan that has image transformations. */
export interface Transform {
  /** Pixels, 1 to 2500. */
  width?: number;
  /** Pixels, 1 to 2500. */
  height?: number;
  /** How a picture of another shape fits into width and height. Default `"cover"`. */
  resize?: "cover" | "contain" | "fill";
  /** 20 to 100. Default 80. */
  quality?: number;
  /** `"origin"` keeps the picture's own format; left out, Storage picks one that the browser takes. */
  format?: "origin";
}

/** A link that comes with an image. */
export interface LinkOptions {
  /** Seconds that it works. Default 3600. */
  expiresIn?: number;
  /** As {@link SignOptions.download}. */
  download?: boolean | string;
  /** As {@link SignOptions.transform}. */
  transform?: Transform;
}

/** What a call that signs URLs takes. */
export interface SignOptions extends CallOptions {
  /**
   * The URLs of the small pictures beside the images, see {@link SinkOptions.thumbnail}; `null` from `signedUrls` for an image
   * that has none. Default false.
   */
  thumbnail?: boolean;
  /**
   * Have Storage make the picture smaller on its way. Of many paths each is then signed by a request of its own; a path with
   * a `?` can't be.
   */
  transform?: Transform;
  /** Have browsers save the image instead of showing it: under this name, or with `true` under its own. Default false. */
  download?: boolean | string;
}

/** What a call that removes images takes. */
export interface RemoveOptions extends CallOptions {
  /** Of many images so many at once, 100 at most. Default 6. */
  concurrency?: number;
}

/**
 * Which image is meant: by its id, by its path, or by both; what `sync` gives will do. Of both the id counts, and the path
 * where no row has that id: an object that an upload left without its row goes by its path.
 */
export type ImageRef = { imageId: string; storagePath?: string | null } | { imageId?: null; storagePath: string };

/** What was removed, or was not there any more; `null` for what nobody knows of it. */
export interface Removed {
  /** The row's id. */
  imageId: string | null;
  /** The object's path. */
  storagePath: string | null;
}

/** What became of one image of many. */
export type RemoveOutcome = ({ ok: true } & Removed) | { ok: false; error: ImagenCloudError };

/** What a list takes. */
export interface ListOptions<Column extends string = never> extends CallOptions {
  /** Images of the page, 1 to 500. Default 24. */
  limit?: number;
  /** What an earlier page gave: this one begins behind it. Default: with the newest. */
  before?: string | null;
  /** Whose images. Default: the sink's `ownerUserId`; without one, of all that may be seen. A relay's are the user's own. */
  owner?: string;
  /** Only these, 100 at most. A relay does not take it. */
  ids?: string[];
  /** Columns of your own that the table has, by their names. */
  columns?: Column[];
  /** Links: seconds, or what they shall be; `false` for none. Default 3600. */
  signedUrl?: number | false | LinkOptions;
  /** Links to the small pictures beside the images as well, never transformed, see {@link SinkOptions.thumbnail}. Default false. */
  thumbnail?: boolean;
}

/** A row of `imagen.images`, and a link to its image. */
export interface ListedImage<Columns = Record<never, never>> {
  /** `imagen.images.id`. */
  imageId: string;
  /** The object's name in the bucket. */
  storagePath: string;
  /** `auth.users.id`. */
  ownerUserId: string;
  /** When the row arrived, not when the image was made; as the database writes it, with its microseconds. */
  createdAt: string;
  /** As it was given. */
  prompt: string;
  /** SHA-256 of the prompt in hex. */
  promptHash: string;
  /** As it was given. */
  backend: string;
  /** `null` where it was left out. */
  model: string | null;
  /** With all of its 64 bits. */
  seed: bigint | null;
  /** `null` where it was left out. */
  steps: number | null;
  /** Pixels. */
  width: number | null;
  /** Pixels. */
  height: number | null;
  /** Milliseconds. */
  latencyMs: number | null;
  /** In US dollars. */
  costUsdEstimate: number | null;
  /** As it was given. */
  sidecar: { [key: string]: JsonValue } | null;
  /** The columns that were asked for. */
  columns: Columns;
  /** `null` where the object is gone; left out with `signedUrl: false`. */
  signedUrl?: string | null;
  /** With `thumbnail: true`: of the small picture, `null` where there is none. */
  thumbnailUrl?: string | null;
}

/**
 * A row of `imagen.images` as PostgREST gives it. A `type`, since supabase-js takes no interface for a row. Its seed is a number of
 * JSON, exact up to 2^53: {@link Sink.list} gives all of its 64 bits.
 */
export type ImageRow = {
  /** A UUID. */
  id: string;
  /** `auth.users.id`. */
  owner_user_id: string;
  /** The words that the image was made from. */
  prompt: string;
  /** SHA-256 of the prompt in hex. */
  prompt_hash: string;
  /** What made the image. */
  backend: string;
  /** The object's name in the bucket. */
  storage_path: string;
  /** `null` where it was left out, as all that follow. */
  model: string | null;
  /** Exact up to 2^53. */
  seed: number | null;
  /** Of the sampler. */
  steps: number | null;
  /** Pixels. */
  width: number | null;
  /** Pixels. */
  height: number | null;
  /** Milliseconds. */
  latency_ms: number | null;
  /** In US dollars. */
  cost_usd_estimate: number | null;
  /** As it was given. */
  sidecar: { [key: string]: JsonValue } | null;
  /** When the row arrived. */
  created_at: string;
};

/** The schema for supabase-js: `createClient<Database, "imagen">(url, key, { db: { schema: "imagen" } })`. */
export type Database = {
  /** What the migrations make. */
  imagen: {
    /** One table. */
    Tables: {
      /** Rows are written by this package: by hand, `prompt_hash` and `storage_path` have to fit. */
      images: {
        /** As it is read. */
        Row: ImageRow;
        /** As it is written. */
        Insert: Pick<ImageRow, "owner_user_id" | "prompt" | "prompt_hash" | "backend" | "storage_path"> &
          Partial<ImageRow>;
        /** As it is changed: by the service only. */
        Update: Partial<ImageRow>;
        /** None that PostgREST follows. */
        Relationships: [];
      };
    };
    /** None. */
    Views: Record<never, never>;
    /** None that a page may call. */
    Functions: Record<never, never>;
  };
};

/** A page of images, the newest first. */
export interface ListedImages<Columns = Record<never, never>> {
  /** As many as were asked for, if there are. */
  images: ListedImage<Columns>[];
  /** For the next page; `null` where there are no more. */
  before: string | null;
}

/** What became of one image of many. An error has `storagePath` and `imageId` once they were known. */
export type SyncOutcome = ({ ok: true } & SyncResult) | { ok: false; error: ImagenCloudError };

/** Where an image landed. */
export interface SyncResult {
  /** For example `"2026-05-11/lighthouse-42.png"`. */
  storagePath: string;
  /** `imagen.images.id`, a UUID. */
  imageId: string;
  /**
   * Only from a relay: the Worker has the image, but Supabase is down. It will be there later, under this path and id; the
   * same request with this `imageId` tells when, by a result without `queued`. An outbox does that on its own.
   */
  queued?: true;
  /** Where the call asked for one: `null` where it can't be had, or not yet. */
  signedUrl?: string | null;
}

/** A configured connection. Safe to use for any number of calls at once. */
export interface Sink {
  /** The entry it was made by. An outbox takes no sink or relay of the other one. */
  readonly entry: Entry;
  /**
   * Uploads the image, then inserts its row. Rejects with `invalid_request` or `invalid_image` before anything is sent;
   * when the insert fails, the error carries `storagePath` and `imageId`, and the same request with them finishes it.
   */
  sync(request: SyncRequest, options?: SyncOptions): Promise<SyncResult>;
  /**
   * An absolute URL that answers with the image for `ttlSeconds` (default, and for 0 or less: 3600). Rejects with
   * `object_missing` where nothing is at that path, or nothing that this user may see.
   */
  signedUrl(storagePath: string, ttlSeconds?: number, options?: SignOptions): Promise<string>;
  /**
   * Uploads many images at once and inserts their rows in bulk. Resolves to one outcome a request, in their order, also
   * when the call is aborted or its deadline passes: one image's failure is no other's. Up to 100,000 requests.
   */
  syncMany(requests: SyncRequest[], options?: SyncManyOptions): Promise<SyncOutcome[]>;
  /** URLs of many images, in the paths' order, `null` for one that is missing. Signs up to 1000 with one request. */
  signedUrls(storagePaths: string[], ttlSeconds?: number, options?: SignOptions): Promise<(string | null)[]>;
  /**
   * Checks a request and fixes what a `sync` of it would send: path, id, type and row. Sends nothing. The image may be left
   * out where `mimeType` says what it will be; then the row has no size but the one that is given.
   */
  prepare(request: Omit<SyncRequest, "image"> & Partial<Pick<SyncRequest, "image">>): Promise<PreparedImage>;
  /**
   * Inserts the row of an image that is in its place already, brought there by somebody else. It may be repeated, as a
   * `sync` may: a row that an earlier attempt brought is recognised. Whether the object is there is asked where more than an
   * hour has passed since `prepare`, as an object that has no row may have been swept by then: `object_missing` where it is not.
   * Bring it there again, then insert.
   */
  insert(prepared: PreparedImage, options?: Omit<SyncOptions, "signedUrl">): Promise<SyncResult>;
  /**
   * A page of images with their links, the newest first, by two requests; with the last page goes a third, which looks whether
   * the server has more than it gives at once. The next one begins behind it, to the microsecond, whatever arrives meanwhile.
   */
  list<Column extends string = never>(options?: ListOptions<Column>): Promise<ListedImages<Record<Column, JsonValue>>>;
  /**
   * Removes an image: the object, its thumbnail, then the row, and looks whether they went. What is not there counts as
   * removed, so that it may be repeated: until the end the row names what is left. An object that another row names stays.
   * Rejects with `forbidden` where something stays: what the server wrote outside of the user's folder is removed there.
   */
  remove(image: ImageRef, options?: RemoveOptions): Promise<Removed>;
  /** The same for each of many: resolves to one outcome an image, in their order, also when the call is aborted. */
  remove(images: ImageRef[], options?: RemoveOptions): Promise<RemoveOutcome[]>;
  /** Gives the sink's memory back. Calls under way end normally. */
  free(): void;
  /** The same at the end of a block, by `using`; where the host has the symbol. */
  [Symbol.dispose](): void;
}

/** What a `sync` would send. Plain data: it may be kept, cloned and sent elsewhere. */
export interface PreparedImage {
  /** Where the object belongs in the bucket. */
  storagePath: string;
  /** The row's id. */
  imageId: string;
  /** Of the object, as the bucket compares it. */
  mimeType: string;
  /** The row as JSON text: so a seed of 64 bits keeps all its digits. */
  row: string;
  /** When it was prepared, in milliseconds since 1970. Without it `insert` never asks for the object. */
  preparedAt?: number;
}

/** A configured connection to the Worker. Safe to use for any number of calls at once. */
export interface Relay {
  /** The entry it was made by. An outbox takes no sink or relay of the other one. */
  readonly entry: Entry;
  /**
   * Hands the image over: in one request, or from `resumableFrom` on by ticket, straight to Storage. A success with
   * `queued` is one that Supabase has yet to hear of. What the Worker refuses is an error of the stage `upload`, at the end
   * of a large image `insert`; its `serverCode` is the Worker's.
   */
  sync(request: SyncRequest, options?: SyncOptions): Promise<SyncResult>;
  /** Hands many images over, several at once, each for itself. Resolves to one outcome a request, in their order. */
  syncMany(requests: SyncRequest[], options?: SyncManyOptions): Promise<SyncOutcome[]>;
  /**
   * A URL that answers with the image for `ttlSeconds`: 3600 by default, 86400 at most. The Worker signs one at a time, so
   * there is no `signedUrls` here.
   */
  signedUrl(storagePath: string, ttlSeconds?: number, options?: SignOptions): Promise<string>;
  /** A page of the user's images with their links, the newest first, by one request; with `transform` 45 at most. */
  list<Column extends string = never>(
    options?: Omit<ListOptions<Column>, "owner" | "ids">,
  ): Promise<ListedImages<Record<Column, JsonValue>>>;
  /** Has the Worker remove an image of the user's, also one that is still on its way; it never arrives. May be repeated. */
  remove(image: ImageRef, options?: RemoveOptions): Promise<Removed>;
  /** The same for each of many: resolves to one outcome an image, in their order, also when the call is aborted. */
  remove(images: ImageRef[], options?: RemoveOptions): Promise<RemoveOutcome[]>;
  /** Gives the relay's memory back. Calls under way end normally. */
  free(): void;
  /** The same at the end of a block, by `using`; where the host has the symbol. */
  [Symbol.dispose](): void;
}

/** What a sink or a relay tells of its requests. It holds no key, no token, no path and no URL. */
export type RequestEvent =
  | {
      /** A request has ended. */
      type: "request";
      /** What it was for. */
      stage: Stage;
      /** Of HTTP. */
      method: string;
      /** The answer's HTTP status, if there was an answer. */
      status?: number;
      /** Why there was none: `network`, `timeout` and the like. */
      code?: ErrorCode;
      /** How long it took. */
      ms: number;
      /** Bytes of the image that it carried. */
      bytes: number;
      /** Which request of its stage, from 1. */
      attempt: number;
      /** The images that it was about, small pictures and links too: several for rows in bulk, none for what was asked by a path or a list. */
      imageIds: string[];
    }
  | {
      /** It is tried again, after a wait. */
      type: "retry";
      /** What is tried again. */
      stage: Stage;
      /** Why. */
      code: ErrorCode;
      /** The answer's HTTP status, if there was an answer. */
      status?: number;
      /** Requests made so far. */
      attempt: number;
      /** How long it waits. */
      waitMs: number;
      /** The images that it is about, likewise. */
      imageIds: string[];
    };

/** What was being done when a call failed. */
export type Stage = "config" | "request" | "upload" | "insert" | "sign" | "list" | "remove" | "outbox";

/** What went wrong. */
export type ErrorCode =
  /** An option is unknown, missing or malformed; `field` names it. */
  | "invalid_config"
  /** A secret key in a page or one of its workers, as `apiKey` or from `accessToken`; `field` says which. */
  | "secret_key_in_browser"
  /** A field of the request is missing or malformed; `field` names it. */
  | "invalid_request"
  /**
   * The image is empty, unreadable, changed since it was given (a file), no image though `requireImage`, or plainly of
   * another type than declared.
   */
  | "invalid_image"
  /** The WebAssembly could not be loaded: not found, or not allowed by the page's CSP (`wasm-unsafe-eval`). */
  | "load_failed"
  /** The call's `signal` was aborted; `cause` is its reason. */
  | "aborted"
  /** No answer: the connection failed or broke. */
  | "network"
  /** No answer in time. */
  | "timeout"
  /** `deadlineMs` ran out. */
  | "deadline_exceeded"
  /** An answer that is not what the service answers: HTML, half a JSON, a wrong shape; a redirect, which is final, or a page of rows that is too long: `field` is `limit`. */
  | "bad_response"
  /** `accessToken` threw or gave no token; `cause` is what it threw. */
  | "token_unavailable"
  /** The key or the token was refused. */
  | "unauthorized"
  /** A policy or a missing grant refused. */
  | "forbidden"
  /** The bucket does not exist. */
  | "bucket_missing"
  /** The schema is not exposed by PostgREST. */
  | "schema_not_exposed"
  /** The table does not exist. */
  | "table_missing"
  /** No object under that storage path. */
  | "object_missing"
  /** The image is larger than the bucket or the project allows. */
  | "too_large"
  /** The bucket does not allow the MIME type. */
  | "type_not_allowed"
  /** The row's id belongs to another row. */
  | "id_taken"
  /** Too many requests. */
  | "rate_limited"
  /** The server could not do it now; or a gateway, firewall or captive portal answered in its place: a refusal or a 404 of its own. */
  | "unavailable"
  /** The token belongs to another user than the outbox: its jobs are left alone until their owner is back. */
  | "wrong_user"
  /** Another image of the call, or an unfinished job of the outbox, goes to that storage path: it would be overwritten. */
  | "path_taken"
  /** Only a job of the outbox that has failed can be changed. */
  | "invalid_state"
  /** The outbox holds as many images or bytes as its options allow. */
  | "outbox_full"
  /** The browser's storage is full. */
  | "quota_exceeded"
  /** IndexedDB or Web Locks are missing, blocked, broken or silent here: private window, insecure page, damaged database. */
  | "storage_unavailable"
  /** The outbox was written by a newer version of this package. */
  | "outbox_too_new"
  /** The outbox's entry is damaged: its image or its row can't be read any more. */
  | "job_unreadable"
  /** The outbox has no job of that id. */
  | "job_missing"
  /** The server refused for another reason; see the message and `serverCode`. */
  | "rejected";

/** Every rejection of this package. The message starts as `storage upload: 503: …`, `db insert: …` or `sign 400: …`. */
export class ImagenCloudError extends Error {
  private constructor();
  /** By this it is known, also when another copy of the package made it. */
  readonly name: "ImagenCloudError";
  /** What was being done. */
  readonly stage: Stage;
  /** What went wrong. */
  readonly code: ErrorCode;
  /** The option or the request's field at fault. */
  readonly field?: string;
  /** HTTP status of the last answer. */
  readonly status?: number;
  /** The server's own code, such as `"PGRST106"`, `"23505"` or `"InvalidKey"`; the Worker's `"not_yours"`. */
  readonly serverCode?: string;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** How long the server asked to wait, in ms. */
  readonly retryAfterMs?: number;
  /** Requests sent for the failed stage. */
  readonly attempts: number;
  /** Set once the storage path is known. */
  readonly storagePath?: string;
  /** Set once the row's id is known. */
  readonly imageId?: string;
  /**
   * The error as plain data, without `cause` and `stack`. `postMessage` and `structuredClone` keep neither the name nor the
   * code of an `Error`: a worker posts this, and {@link isImagenCloudError} knows it on the other side.
   */
  toJSON(): ImagenCloudErrorData;
}

/** An {@link ImagenCloudError} as plain data: what `toJSON` gives, and what an outbox tells of a job's last failure. */
export type ImagenCloudErrorData = Readonly<Omit<ImagenCloudError, "toJSON" | "stack" | "cause">>;

/**
 * Whether `error` was made by this package, also by another copy of it or in another realm, or is what `toJSON` gave of such
 * an error: that has all fields but `toJSON`, `cause` and `stack`.
 */
export function isImagenCloudError(error: unknown): error is ImagenCloudError;

/** What `fetch` takes, a `WebAssembly.Module`, or the bytes of the `.wasm`. */
export type WasmSource = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

/**
 * Loads the WebAssembly once, from `source` or from beside the package. The functions below do it on their own; call
 * it where the `.wasm` lies elsewhere. Later calls return the same promise. Rejects with `load_failed`; the next call
 * tries again.
 */
export function init(source?: WasmSource | Promise<WasmSource>): Promise<void>;

/** Checks the options and makes a sink. Rejects with `invalid_config`, `secret_key_in_browser` or `load_failed`. */
export function createSink(options: SinkOptions): Promise<Sink>;

/**
 * A sink from `SUPABASE_URL`, a key and `IMAGEN_OWNER_USER_ID`. The key is `SUPABASE_SERVICE_KEY`, `MAI_SUPABASE_KEY`,
 * `SUPABASE_SECRET_KEY`, `SUPABASE_SERVICE_ROLE_KEY` or the `default` of the JSON in `SUPABASE_SECRET_KEYS`, the first that is
 * set. `undefined` when the URL or the key is missing: syncing is switched off. With `required` it then rejects, and names
 * what is missing. Rejects as `createSink` does.
 */
export function createSinkFromEnv(env: object, options: { required: true }): Promise<Sink>;
/** The same where the environment may lack them. */
export function createSinkFromEnv(env: object, options?: { required?: boolean }): Promise<Sink | undefined>;

/** {@link Sink.sync} without keeping a sink. Rejects as `createSink` does, too. */
export function sync(sink: SinkOptions, request: SyncRequest, options?: SyncOptions): Promise<SyncResult>;

/** {@link Sink.signedUrl} without keeping a sink. Rejects as `createSink` does, too. */
export function signedUrl(
  sink: SinkOptions,
  storagePath: string,
  ttlSeconds?: number,
  options?: SignOptions,
): Promise<string>;

/**
 * A text as a part of a storage path: `Café über Łódź` becomes `cafe-uber-lodz`. Lower-case letters and digits of ASCII and
 * single hyphens, 60 characters at most, never empty, and the same for the same text on every host. Where the words don't
 * tell all of the text (it is longer, or not in Latin letters) it ends with 8 digits of the text's SHA-256. Rejects with
 * `invalid_request` for what is no text, or `load_failed`.
 */
export function slugify(text: string): Promise<string>;

/** Checks the options and makes a relay. Rejects with `invalid_config`. */
export function createRelay(options: RelayOptions): Promise<Relay>;

/** What {@link checkProject} looks at. An unknown option is an error that names it. */
export interface ProjectOptions {
  /** The project's URL, as a sink gets it. */
  url: string;
  /** The key that your pages or your server have. */
  apiKey: string;
  /** The secret key beside a publishable one, on a server: more can be looked at. */
  secretKey?: string;
  /** A signed-in user's JWT: what a user may do is tried. Default: that is not looked at. */
  accessToken?: string | (() => string | Promise<string>);
  /** As {@link SinkOptions.bucket}. */
  bucket?: string;
  /** As {@link SinkOptions.schema}. */
  schema?: string;
  /** As {@link SinkOptions.table}. */
  table?: string;
  /** Where your pages are from, `https://app.example.com`: may they ask the project? Default: that of `page`; in a page its own. */
  origin?: string;
  /** The address of one of your pages: its Content-Security-Policy, and how the `.wasm` comes. */
  page?: string;
  /** The address of the `.wasm`. Default: looked for in the scripts of `page`. */
  wasm?: string;
  /** How many bytes your largest image has. Default 50000000, which the smallest hosted plan takes. */
  largestImage?: number;
  /** Used instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
  /** Stops it: it rejects with the signal's reason; or gives the report that says where what was tried out may still be. */
  signal?: AbortSignal;
}

/** One thing that was looked at. It holds no key and no token. */
export interface ProjectCheck {
  /** What it is about, such as `"bucket-types"`. */
  readonly name: string;
  /** `unchecked`: what is needed for it was not given, or something before it is wrong. */
  readonly state: "ok" | "wrong" | "unchecked";
  /** What was found, in words. */
  readonly message: string;
  /** What to do about it, where it is wrong. */
  readonly remedy?: string;
}

/** What {@link checkProject} found. */
export interface ProjectReport {
  /** Whether nothing is wrong. */
  readonly ok: boolean;
  /** Always the same names, in the same order. */
  readonly checks: readonly ProjectCheck[];
}

/**
 * Looks whether a project is set up for this package: address, key, schema, table, bucket, policies, CORS, the clock, a page's
 * policy. What it tries out it removes again. It loads no WebAssembly. Rejects with `invalid_config` only; a project that can't
 * be reached is a finding.
 */
export function checkProject(options: ProjectOptions): Promise<ProjectReport>;
