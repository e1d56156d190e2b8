// Right uses of every part of the API: tsc must not complain about one.
import * as small from "imagen-cloud";
import { type ImageMetadata, readMetadata } from "imagen-cloud/metadata";
import {
  type CallOptions,
  checkProject,
  createOutbox,
  createRelay,
  createSink,
  createSinkFromEnv,
  type Database,
  type Drained,
  drainInBackground,
  type ErrorCode,
  ImagenCloudError,
  type ImagenCloudErrorData,
  type ImageRef,
  type ImageRow,
  type ImageSource,
  init,
  isImagenCloudError,
  type JsonValue,
  type LinkOptions,
  type ListedImage,
  type ListedImages,
  type ListOptions,
  type Outbox,
  type OutboxChange,
  type OutboxJob,
  type OutboxOptions,
  type Progress,
  type ProjectCheck,
  type ProjectOptions,
  type ProjectReport,
  type Relay,
  type RelayOptions,
  type Removed,
  type RemoveOptions,
  type RemoveOutcome,
  type Retrying,
  type SignOptions,
  type Sink,
  type SinkOptions,
  type Stage,
  type SyncManyOptions,
  type SyncOptions,
  type SyncOutcome,
  type SyncRequest,
  type SyncResult,
  signedUrl,
  slugify,
  sync,
  type Transform,
} from "imagen-cloud/outbox";
import { type ImagenUser, type UsedOutbox, useOutbox, useSync } from "imagen-cloud/react";
import { createFakeProject, type FakeFault, type FakeProject } from "imagen-cloud/testing";

const options: SinkOptions = {
  url: "https://abcd.supabase.co",
  publicUrl: "https://abcd.supabase.co",
  apiKey: "sb_publishable_…",
  ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666",
  accessToken: async () => "eyJ…",
  bucket: "imagen-generated",
  schema: "imagen",
  table: "images",
  pathPrefix: "7d6f2b8e-1111-4222-8333-444455556666",
  maxRetries: 2,
  initialBackoffMs: 1000,
  maxBackoffMs: 30_000,
  timeoutMs: 30_000,
  resumableFrom: 1e6,
  chunkSize: 6 * 1024 * 1024,
  cacheControl: "max-age=3600",
  requireImage: true,
  thumbnail: { side: 512, type: "image/webp" },
  fetch: globalThis.fetch,
  dangerouslyAllowSecretKeyInBrowser: false,
};
const least: SinkOptions = { url: options.url, apiKey: options.apiKey, accessToken: () => "eyJ…" };

const sources: ImageSource[] = [
  new Blob([]),
  new File([], "x.png"),
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
  new Uint8Array(8),
  new DataView(new ArrayBuffer(8)),
  new Float32Array(2),
];

const request: SyncRequest = {
  date: "2026-05-11",
  slug: "lighthouse",
  seed: 9223372036854775807n,
  image: sources[0] as Blob,
  ext: "png",
  mimeType: "image/png",
  prompt: "a lighthouse at dusk",
  backend: "flux",
  model: "schnell",
  steps: 4,
  width: 1024,
  height: 768,
  latencyMs: 1234,
  costUsdEstimate: 0,
  sidecar: { cfg: 1.5, loras: ["a", "b"], nested: { none: null, left: undefined } },
  imageId: "492a7ae8-3ccb-4682-b40c-92195f198c67",
};
const leastRequest: SyncRequest = {
  date: "2026-05-11",
  slug: "lighthouse",
  seed: 42,
  image: new Uint8Array(8),
  prompt: "",
  backend: "flux",
};

const callOptions: CallOptions = {
  signal: AbortSignal.timeout(1000),
  deadlineMs: 60_000,
  onRetry: ({ stage, code, status, attempt, waitMs }: Retrying) => {
    const text: string = stage + code;
    const sum: number = (status ?? 0) + attempt + waitMs;
    console.log(text, sum);
  },
};
const syncOptions: SyncOptions = {
  ...callOptions,
  onProgress: ({ stage, sent, total }: Progress) => console.log(stage === "done", sent / total),
};

export async function run(): Promise<string> {
  await init();
  await init(new URL("https://example.com/imagen_cloud_bg.wasm"));
  await init(fetch("imagen_cloud_bg.wasm"));
  await init(await WebAssembly.compile(new Uint8Array(8)));
  const sink: Sink = await createSink(options);
  const result: SyncResult = await sink.sync(request, syncOptions);
  const { storagePath, imageId } = await sink.sync(leastRequest);
  const link: string = await sink.signedUrl(storagePath);
  await sink.signedUrl(result.storagePath, 60, callOptions);
  sink[Symbol.dispose]();
  sink.free();
  const fromEnv = await createSinkFromEnv(process.env);
  const required: Sink = await createSinkFromEnv(process.env, { required: true });
  required.free();
  await fromEnv?.sync(request);
  await sync(least, request, syncOptions);
  return (await signedUrl(least, storagePath, 60, callOptions)) + link + imageId;
}

/** What both entries have is of the same types. */
export async function either(error: unknown): Promise<string> {
  const sinks: small.Sink[] = [await small.createSink(options), await createSink(options)];
  const entry: small.Entry | undefined = sinks[0]?.entry;
  const relay: small.Relay = await createRelay(relayOptions);
  relay.free();
  const code: ErrorCode | false = small.isImagenCloudError(error) && error.code;
  return `${entry} ${code} ${(await slugify("a")) === (await small.slugify("a"))}`;
}

export async function many(sink: Sink, requests: SyncRequest[]): Promise<(string | null)[]> {
  const options: SyncManyOptions = { ...syncOptions, concurrency: 6 };
  const outcomes: SyncOutcome[] = await sink.syncMany(requests, options);
  const paths: string[] = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.storagePath] : []));
  const codes: ErrorCode[] = outcomes.flatMap((outcome) => (outcome.ok ? [] : [outcome.error.code]));
  const signOptions: SignOptions = { ...callOptions, download: "lighthouse.png" };
  const links = await sink.signedUrls(paths, 60, signOptions);
  return [...codes, ...links, await sink.signedUrl("a.png", 60, { download: true })];
}

export async function shown(sink: Sink, relay: Relay): Promise<(string | null | undefined)[]> {
  const one = await sink.sync(request, { signedUrl: 3600 });
  const other = await relay.sync(request, { signedUrl: { expiresIn: 60, download: "a.png", transform: { width: 9 } } });
  const [many] = await sink.syncMany([request], { signedUrl: 60 });
  return [one.signedUrl, other.signedUrl, many?.ok ? many.signedUrl : null];
}

export async function gallery(sink: Sink, relay: Relay): Promise<string[]> {
  const transform: Transform = { width: 256, height: 256, resize: "contain", quality: 75, format: "origin" };
  const link: LinkOptions = { expiresIn: 60, download: true, transform };
  const options: ListOptions<"project_id"> = {
    ...callOptions,
    limit: 24,
    before: null,
    columns: ["project_id"],
    signedUrl: link,
    thumbnail: true,
  };
  const page: ListedImages<{ project_id: JsonValue }> = await sink.list(options);
  const next = await sink.list({ before: page.before, owner: "a", ids: ["b"], signedUrl: false });
  const relayed = await relay.list({ columns: ["project_id"], signedUrl: 60 });
  const names = relayed.images.map(({ columns, seed }) => String(columns.project_id) + String(seed === 7n));
  const plain: ListedImage[] = next.images;
  names.push(String(page.images[0]?.thumbnailUrl));
  const small = await sink.signedUrls(
    plain.map(({ storagePath }) => storagePath),
    60,
    { transform },
  );
  return [...names, ...small.map((url) => url ?? ""), page.images[0]?.createdAt ?? ""];
}

export async function clear(sink: Sink, relay: Relay, sent: SyncResult[]): Promise<(string | null)[]> {
  const options: RemoveOptions = { ...callOptions, concurrency: 3 };
  const [first, ...rest] = sent;
  const removed: Removed = first ? await sink.remove(first, callOptions) : { imageId: null, storagePath: null };
  const refs: ImageRef[] = [...rest, removed as ImageRef, { imageId: "a" }, { storagePath: "a/b.png" }];
  const outcomes: RemoveOutcome[] = await relay.remove(refs, options);
  return outcomes.map((outcome) => (outcome.ok ? outcome.storagePath : outcome.error.message));
}

export async function keep(sink: Sink, image: ImageSource): Promise<number> {
  const registration = await navigator.serviceWorker.ready;
  const options: OutboxOptions = {
    concurrency: 2,
    maxJobs: 10,
    maxBytes: 1e9,
    automatic: false,
    serviceWorker: registration,
  };
  const outbox: Outbox = await createOutbox(sink, options);
  const stop = outbox.onChange((change: OutboxChange) => {
    if ("job" in change) console.log(change.id, change.job.state, change.job.error?.code);
    else if (change.state === "done") console.log(change.id);
  });
  const { imageId } = await outbox.enqueue({ date: "d", slug: "s", seed: 1n, image, prompt: "p", backend: "b" });
  const drained: Drained = await outbox.drain();
  const jobs: OutboxJob[] = await outbox.list();
  const seed: number | bigint | undefined = (await outbox.job(imageId)).request?.seed;
  const stored: SyncOutcome[] = await outbox.enqueueMany([{ seed: 1n, image, prompt: "p", backend: "b" }]);
  const kept: Blob = await outbox.image(imageId);
  await outbox.retry(imageId);
  await outbox.retry(imageId, { slug: "other", ext: "webp", mimeType: "image/webp" });
  await outbox.remove(imageId);
  await outbox.discard(imageId);
  await outbox.pause();
  if (await outbox.isPaused()) await outbox.resume();
  await outbox.clear();
  stop();
  await outbox.close();
  drainInBackground(async () => createOutbox(sink));
  return (
    drained.done + jobs.length + stored.length + Number(seed) + kept.size + (drained.stopped === "wrong_user" ? 1 : 0)
  );
}

const relayOptions: RelayOptions = {
  url: "https://pictures.example.com",
  accessToken: async () => "eyJ…",
  ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666",
  maxRetries: 2,
  initialBackoffMs: 1000,
  maxBackoffMs: 30_000,
  timeoutMs: 60_000,
  resumableFrom: 1e6,
  chunkSize: 6 * 1024 * 1024,
  fetch: globalThis.fetch,
  thumbnail: { side: 512 },
};

export async function hand(request: SyncRequest): Promise<Outbox> {
  const relay: Relay = await createRelay(relayOptions);
  await createRelay({ url: relayOptions.url, accessToken: () => "eyJ…" });
  const { storagePath, queued = false } = await relay.sync(request, syncOptions);
  const [outcome] = await relay.syncMany([request], { concurrency: 2 });
  if (!queued && outcome?.ok && !outcome.queued)
    console.log(await relay.signedUrl(storagePath, 60, { download: true }));
  relay.free();
  return createOutbox(relay);
}

/** What a worker posts, and what a page makes of it. */
export function told(error: unknown, { data }: MessageEvent<unknown>): ImagenCloudErrorData | undefined {
  if (isImagenCloudError(error)) return error.toJSON();
  return isImagenCloudError(data) ? data : undefined;
}

/** Every code has to be listed: the union is closed. */
export function explain(error: unknown): string {
  if (!isImagenCloudError(error)) return String(error);
  const same: ImagenCloudError = error;
  const stage: Stage = same.stage;
  const parts: (string | number | boolean | undefined)[] = [
    same.field,
    same.status,
    same.serverCode,
    same.retryable,
    same.retryAfterMs,
    same.attempts,
    same.storagePath,
    same.imageId,
  ];
  return `${stage} ${advice(same.code)} ${parts.join()} ${error instanceof ImagenCloudError} ${error.cause}`;
}

function advice(code: ErrorCode): string {
  switch (code) {
    case "invalid_config":
    case "secret_key_in_browser":
    case "invalid_request":
    case "invalid_image":
      return "fix the call";
    case "load_failed":
      return "look where the wasm lies";
    case "aborted":
      return "as wished";
    case "network":
    case "timeout":
    case "deadline_exceeded":
    case "rate_limited":
    case "unavailable":
    case "bad_response":
      return "try later";
    case "token_unavailable":
    case "unauthorized":
    case "forbidden":
    case "wrong_user":
      return "sign in";
    case "path_taken":
    case "invalid_state":
    case "outbox_full":
    case "quota_exceeded":
    case "storage_unavailable":
    case "outbox_too_new":
    case "job_unreadable":
    case "job_missing":
      return "look into the outbox";
    case "bucket_missing":
    case "schema_not_exposed":
    case "table_missing":
    case "object_missing":
    case "too_large":
    case "type_not_allowed":
    case "id_taken":
    case "rejected":
      return "see the message";
    default: {
      const none: never = code;
      return none;
    }
  }
}

export const json: JsonValue = [1, "a", null, true, { b: [] }];

const project: ProjectOptions = { url: "https://abcd.supabase.co", apiKey: "k", accessToken: async () => "t" };
export const findings: Promise<readonly ProjectCheck[]> = checkProject(project).then(
  (report: ProjectReport) => report.checks,
);

const fault: FakeFault = { on: "upload", how: "answer-lost", times: 2 };
export function inMemory(): Promise<Sink> {
  const project: FakeProject = createFakeProject({ bucket: "own" });
  const callOff: () => void = project.fail(fault);
  callOff();
  return createSink({ ...project.optionsOf(project.createUser()), maxRetries: 0 });
}

export function useImages(user: ImagenUser | null, request: SyncRequest): [Promise<SyncResult>, UsedOutbox["state"]] {
  const { enqueue, state } = useOutbox(user, { concurrency: 2 });
  const { sync } = useSync(user);
  return [state === "open" ? enqueue(request) : sync(request), state];
}

/** What a dropped file says of itself, for a request of it. */
export async function described(file: File): Promise<Pick<SyncRequest, "prompt" | "seed">> {
  const { prompt, seed, place }: ImageMetadata = await readMetadata(file);
  const where = place && `${place.latitude}, ${place.longitude}`;
  return { prompt: prompt ?? where ?? file.name, seed: seed ?? 0n };
}

// What supabase-js asks of a schema; its own declarations do not compile without skipLibCheck.
type Rows = Record<string, unknown>;
interface Schema {
  Tables: Record<string, { Row: Rows; Insert: Rows; Update: Rows; Relationships: unknown[] }>;
  Views: Record<string, unknown>;
  Functions: Record<string, unknown>;
}
export const schema = (given: Database): Record<string, Schema> => given;
export const written: Database["imagen"]["Tables"]["images"]["Insert"] = {
  owner_user_id: "x",
  prompt: "a fox",
  prompt_hash: "0",
  backend: "b",
  storage_path: "x/y.png",
};
export const promptOf = ({ prompt, seed }: ImageRow): [string, number | null] => [prompt, seed];
