import { createSink, type PreparedImage, type Sink, type SinkOptions, type SyncResult } from "imagen-cloud";
import { untilAnswered } from "./again";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { ASKING_MS, nothingYet, type Shared, share } from "./shared";

export const BUCKET = "imagen-generated";

/** How long one request to Supabase may take, in ms: it is tried again within a call's own limit. */
export const ATTEMPT_MS = 10_000;

/** A sink that writes as the service, into the user's folder and in the user's name, and takes nothing but images. */
export async function withSink<T>(
  user: User,
  settings: Settings,
  work: (sink: Sink) => Promise<T>,
  options: Partial<SinkOptions> = {},
): Promise<T> {
  const own = { ownerUserId: user.id, pathPrefix: user.id, requireImage: true, ...options };
  const sink = await createSink({ ...optionsOf(settings), ...own });
  try {
    return await work(sink);
  } finally {
    sink.free();
  }
}

/** A sink that is nobody's. */
export function newSink(settings: Settings, options: Partial<SinkOptions>): Promise<Sink> {
  return createSink({ ...optionsOf(settings), ...options });
}

/** Kept for the isolate's life, and as a handle: its promise would be one request's. */
const signers = new WeakMap<Settings, Sink>();

/** A sink that is nobody's, and signs: whose a path is has been looked at before. To make one for each request takes longer. */
export async function signingSink(settings: Settings, options: Partial<SinkOptions> = {}): Promise<Sink> {
  const signer = signers.get(settings) ?? (await newSink(settings, options));
  signers.set(settings, signer);
  return signer;
}

function optionsOf(settings: Settings): SinkOptions {
  return {
    url: settings.supabaseUrl,
    publicUrl: settings.publicUrl,
    apiKey: settings.serviceKey,
    bucket: BUCKET,
    initialBackoffMs: settings.syncBackoffMs,
    maxBackoffMs: 5_000,
    timeoutMs: ATTEMPT_MS,
    fetch: askSupabase,
  };
}

/** Says to the package that nobody else changes these bytes, so that they are sent from where they lie. */
export function unshared(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return Object.assign(bytes, { [Symbol.for("imagen-cloud.copied")]: true });
}

/** Where the image would go, and its row, once the package has found nothing wrong with the request. Sends nothing. */
export function plan(request: Parameters<Sink["prepare"]>[0], user: User, settings: Settings): Promise<PreparedImage> {
  return withSink(user, settings, (sink) => sink.prepare(request));
}

/**
 * Throws when the row of this id is another user's, or another image's, at another place. A sync would find out too, but only at the
 * insert, when the bytes are stored already. So this is a courtesy, and an answer that does not come is no reason to stop, nor to use
 * up a deadline. Resolves to whether the image is there already.
 */
export async function refuseTakenId(
  { imageId, storagePath }: SyncResult,
  user: User,
  settings: Settings,
  withinMs?: number,
): Promise<boolean> {
  const row = await glimpseRow(imageId, settings, withinMs);
  if (row === undefined) return false;
  if (row.owner !== user.id || row.storagePath !== storagePath) throw new Problem("id_taken", { imageId });
  return true;
}

/** What the database has of an image. */
export interface Row {
  id: string;
  owner: string;
  storagePath: string;
}

/** The row, if there is an answer, and one row in it. */
export async function glimpseRow(
  imageId: string,
  settings: Settings,
  withinMs = settings.syncDeadlineMs / 3,
): Promise<Row | undefined> {
  return (await findRows(byId(imageId), settings, withinMs).catch(() => []))[0];
}

/** Throws where there is no answer, or none to be understood, however often it is asked. */
export async function findRow(imageId: string, settings: Settings): Promise<Row | undefined> {
  return (await untilAnswered(settings, () => findRows(byId(imageId), settings)))[0];
}

/** Rows that name the path, or those of an owner, the newest first; as above. */
export function findRowsAt(
  storagePath: string,
  settings: Settings,
  { owner, most }: { owner?: string; most: number },
): Promise<Row[]> {
  const whose = owner === undefined ? {} : { owner_user_id: `eq.${owner}` };
  const wish = { storage_path: `eq.${storagePath}`, ...whose, order: "created_at.desc", limit: String(most) };
  return untilAnswered(settings, () => findRows(wish, settings));
}

const byId = (imageId: string) => ({ id: `eq.${imageId}` });

async function findRows(
  wish: Record<string, string>,
  settings: Settings,
  withinMs = settings.syncDeadlineMs / 3,
): Promise<Row[]> {
  const query = new URLSearchParams({ ...wish, select: "id,owner_user_id,storage_path" });
  const answer = await askSupabase(`${settings.supabaseUrl}/rest/v1/images?${query}`, {
    headers: { ...keyHeaders(settings), "accept-profile": "imagen" },
    // A whole number: not every host rounds.
    signal: AbortSignal.timeout(Math.ceil(withinMs)),
  });
  const rows: unknown = await answer.json();
  if (!answer.ok || !Array.isArray(rows)) throw new Error(`reading a row back: ${answer.status}`);
  return rows.map((row) => ({
    id: String(row.id),
    owner: String(row.owner_user_id),
    storagePath: String(row.storage_path),
  }));
}

/** Names with a segment of dots. Storage over S3 takes them, and a URL with one leads elsewhere. */
const LEAD_ELSEWHERE = ["*/../*", "*/./*", "*/..", "*/."];

/** The paths of objects that no row names, as the migrations' function finds them, the oldest first. */
export async function findOrphans(hours: number, most: number, settings: Settings): Promise<string[]> {
  // Nothing can be asked about those others: a user who writes some would keep all that is younger from being looked at.
  const plain = `(${LEAD_ELSEWHERE.map((pattern) => `storage_path.not.like.${pattern}`)})`;
  const query = new URLSearchParams({ kind: "eq.object", and: plain, order: "changed_at", limit: String(most) });
  const answer = await askSupabase(`${settings.supabaseUrl}/rest/v1/rpc/orphaned_objects?${query}`, {
    method: "POST",
    headers: { ...keyHeaders(settings), "content-type": "application/json", "content-profile": "imagen" },
    body: JSON.stringify({ older_than: `${hours} hours` }),
    signal: AbortSignal.timeout(30_000),
  });
  const found: unknown = await answer.json();
  if (!answer.ok || !Array.isArray(found)) throw new Error(`looking for orphans: ${answer.status}`);
  return found.map(({ storage_path: path }) => String(path));
}

/** How long an answer about Supabase's health is good, in ms: anybody may ask, and it is asked with the key. */
const HEALTH_GOOD_MS = 3_000;

const health = new Map<string, Shared<boolean>>();

/** Whether Supabase answers, or did some seconds ago; a 5xx of its gateway is no answer. */
export async function isReachable(settings: Settings): Promise<boolean> {
  const shared = health.get(settings.supabaseUrl) ?? nothingYet<boolean>();
  health.set(settings.supabaseUrl, shared);
  return share(
    shared,
    ({ cameAt }) => Date.now() - cameAt < HEALTH_GOOD_MS,
    () => askHealth(settings),
  );
}

async function askHealth(settings: Settings): Promise<boolean> {
  try {
    const answer = await askSupabase(`${settings.supabaseUrl}/auth/v1/health`, {
      headers: keyHeaders(settings),
      signal: AbortSignal.timeout(ASKING_MS),
    });
    await answer.body?.cancel();
    return answer.status < 500;
  } catch {
    return false;
  }
}

export function keyHeaders({ serviceKey }: Settings): Record<string, string> {
  return { apikey: serviceKey, authorization: `Bearer ${serviceKey}` };
}

/** The same with an answer of so many bytes at most: of a longer one no more is read, and it counts as a 413. */
export function askForAtMost(bytes: number): typeof fetch {
  return async (input, init) => {
    const answer = await askSupabase(input, init);
    const body = await takePiece(answer, 0, bytes + 1);
    if (body.size > bytes) return new Response(null, { status: 413 });
    return Object.assign(answer, { text: () => body.text() });
  };
}

/** Some of an answer's bytes, and no more than those. */
export async function takePiece(answer: Response, skipped: number, wanted: number): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let [passed, size] = [0, 0];
  const reader = answer.body?.getReader();
  while (size < wanted) {
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) break;
    const useful = chunk.value.subarray(Math.max(0, skipped - passed));
    passed += chunk.value.byteLength;
    chunks.push(useful);
    size += useful.byteLength;
  }
  await reader?.cancel().catch(() => {});
  return new Blob(chunks).slice(0, wanted);
}

/** Every request with the key goes this way: a redirect would take the key along to wherever it points. */
export const askSupabase: typeof fetch = (input, init) => fetch(input, { ...init, redirect: "manual" });
