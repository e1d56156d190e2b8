// What tickets ask of Storage and the package does not do. Shapes and statuses are those of the real server: most
// errors are HTTP 400 with the real code in the body.
import { untilAnswered } from "./again";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { askSupabase, BUCKET, keyHeaders, takePiece } from "./supabase";
import type { Thumbnail } from "./thumbnail";

/** How much of an image is read first: as much as the package looks at. */
const PIECE_BYTES = 64 * 1024;
/**
 * How much at most. Each piece is twice as long as the one before, since a request is dear: a Worker may make 50 of them for
 * one of its own, and a size may stand 2 MiB behind an image's beginning.
 */
const LONGEST_PIECE_BYTES = 512 * 1024;
/** No image needs as many, unless it was made to send whoever reads it back and forth. */
const MOST_PIECES = 16;
const UPSERT = { "x-upsert": "true" };

/** What is known of an object without its bytes. */
export interface ObjectInfo {
  size: number;
  mimeType: string;
}

/** An object in a list. */
export interface StoredObject {
  /** Within its folder. */
  name: string;
  /** When it was written last, in ms since 1970, where the server says so. */
  writtenAt: number | undefined;
  /** Whether there is nothing yet, see {@link reserveObject}. */
  isReserved: boolean;
}

/** A token that may write `path`, again and again and whatever it likes, until it expires. */
export async function signUpload(path: string, settings: Settings): Promise<{ url: string; token: string }> {
  const { body } = insist(await ask("POST", `upload/sign/${inBucket(path)}`, settings, UPSERT));
  const { url, token } = body as { url?: unknown; token?: unknown };
  if (typeof url !== "string" || typeof token !== "string") throw refused("an upload URL without its token");
  return { url: forCallers(url, settings), token };
}

/** Of an address that Storage gives, relative to /storage/v1 at the real server, with it or absolute elsewhere, what its user opens. */
function forCallers(url: string, { supabaseUrl, publicUrl }: Settings): string {
  const path = url.startsWith(`${supabaseUrl}/storage/v1/`) ? url.slice(supabaseUrl.length) : url;
  if (path.startsWith("/")) return `${publicUrl}${path.startsWith("/storage/v1/") ? "" : "/storage/v1"}${path}`;
  if (/^https?:/i.test(path)) return path;
  throw refused("an upload URL that is none");
}

/** What {@link reserveObject} writes, of a type that every bucket for images takes. */
const RESERVED = {};
const RESERVED_BYTES = JSON.stringify(RESERVED).length;

/** Has a list show a path before there is an object: resolves to false where one is. What is uploaded there replaces it. */
export async function reserveObject(path: string, settings: Settings): Promise<boolean> {
  const answer = await ask("POST", inBucket(path), settings, { "content-type": "image/png" }, RESERVED);
  if (answer.status === 409) return false;
  insist(answer);
  return true;
}

/** `undefined` where nothing is, or has only been reserved. */
export async function findObject(path: string, settings: Settings): Promise<ObjectInfo | undefined> {
  const answer = await ask("GET", `info/${inBucket(path)}`, settings);
  if (isMissing(answer)) return undefined;
  const { size, content_type: mimeType } = (insist(answer).body ?? {}) as Record<string, unknown>;
  if (typeof size !== "number" || typeof mimeType !== "string") throw refused("an object without its size and type");
  return size === RESERVED_BYTES ? undefined : { size, mimeType };
}

/** When an object was written last, in ms since 1970; `undefined` where there is none, or nobody says. */
export async function writtenAt(path: string, settings: Settings): Promise<number | undefined> {
  const answer = await ask("GET", `info/${inBucket(path)}`, settings);
  if (isMissing(answer)) return undefined;
  const { created_at: created, last_modified: modified } = insist(answer).body as Record<string, unknown>;
  return latest([created, modified]);
}

/**
 * An object as the package takes an image: it looks into it as into any, from the front to the back, and only the pieces that
 * it asks for come here. Its bytes are not to be sent.
 */
export class StoredImage extends Blob {
  readonly #path: string;
  readonly #size: number;
  readonly #settings: Settings;
  #piece: { from: number; to: number; bytes: Promise<Blob> } | undefined;
  #nextBytes = PIECE_BYTES;
  #pieces = 0;

  constructor(path: string, size: number, settings: Settings) {
    super();
    this.#path = path;
    this.#size = size;
    this.#settings = settings;
  }

  override get size(): number {
    return this.#size;
  }

  override slice(from = 0, to = this.#size): Blob {
    return Object.assign(new Blob(), { arrayBuffer: async () => (await this.#read(from, to)).arrayBuffer() });
  }

  /** Of a small one the package takes all of it. */
  override async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.#read(0, this.#size)).arrayBuffer();
  }

  /** Its first bytes alone, which tell the type. */
  head(): Promise<Blob> {
    return this.#read(0, Math.min(PIECE_BYTES, this.#size));
  }

  async #read(from: number, to: number): Promise<Blob> {
    let piece = this.#piece;
    if (piece === undefined || from < piece.from || piece.to < to) {
      this.#pieces += 1;
      if (this.#pieces > MOST_PIECES) throw new Error("its size stands in too many places");
      const end = Math.min(Math.max(from + this.#nextBytes, to), this.#size);
      piece = { from, to: end, bytes: readPiece(this.#path, from, end, this.#settings) };
      this.#piece = piece;
      this.#nextBytes = Math.min(2 * this.#nextBytes, LONGEST_PIECE_BYTES);
    }
    return (await piece.bytes).slice(from - piece.from, to - piece.from);
  }
}

/** A server may send more than it was asked for. */
function readPiece(path: string, from: number, to: number, settings: Settings): Promise<Blob> {
  const range = `bytes=${from}-${to - 1}`;
  return untilAnswered(settings, async () => {
    const answer = await send("GET", inBucket(path), settings, { range });
    if (!answer.ok) {
      const told = await read(answer);
      // Another commit has just taken it away.
      if (isMissing(told)) throw new Problem("not_uploaded");
      insist(told);
    }
    // A gateway answers with a page, also with a 200: it is not the image that is wrong.
    if (!/^image\//i.test(answer.headers.get("content-type") ?? "")) throw refused("no piece of an image");
    return takePiece(answer, answer.status === 206 ? 0 : from, to - from);
  });
}

/** Stores a small picture over what is there. Resolves to whether Storage took it; `signal` says that nobody waits any more. */
export async function putThumbnail(
  { path, bytes, mimeType }: Thumbnail,
  settings: Settings,
  signal: AbortSignal,
): Promise<boolean> {
  const headers = { ...keyHeaders(settings), "content-type": mimeType };
  return untilAnswered(settings, async () => {
    if (signal.aborted) throw refused("nobody waits for it");
    const url = `${storage(settings)}/object/${inBucket(path)}`;
    const { status } = await read(await askSupabase(url, { method: "PUT", body: bytes, headers, signal }));
    if (isTransient(status)) throw new Error(`Storage answered ${status}`);
    return status < 300;
  });
}

/** Copies what is there now. Resolves to false where nothing is. */
export async function copyObject(from: string, to: string, settings: Settings): Promise<boolean> {
  const answer = await ask("POST", "copy", settings, UPSERT, {
    bucketId: BUCKET,
    sourceKey: from,
    destinationKey: to,
  });
  if (isMissing(answer)) return false;
  const { Key: key } = (insist(answer).body ?? {}) as { Key?: unknown };
  if (typeof key !== "string") throw refused("a copy without its key");
  return true;
}

/** Best effort: what is left lies where nobody reads, and is cleared away one day. */
export async function removeObject(path: string, settings: Settings): Promise<void> {
  await ask("DELETE", inBucket(path), settings).catch(() => {});
}

/** Some of a folder's objects, those first that were written longest ago; `search` is how their names begin. */
export async function listFolder(
  folder: string,
  range: { limit: number; offset: number; search?: string },
  settings: Settings,
): Promise<StoredObject[]> {
  const wish = { prefix: folder, ...range, sortBy: { column: "updated_at", order: "asc" } };
  const { body } = insist(await ask("POST", `list/${BUCKET}`, settings, {}, wish));
  if (!Array.isArray(body)) throw refused("a list that is none");
  // Some servers name an object by its whole path.
  return body.map(({ name, created_at: created, updated_at: updated, metadata }) => ({
    name: String(name).replace(`${folder}/`, ""),
    writtenAt: latest([created, updated, metadata?.lastModified]),
    isReserved: metadata?.size === RESERVED_BYTES,
  }));
}

/** Removes objects, as many as are still there. */
export async function unlinkObjects(paths: string[], settings: Settings): Promise<void> {
  insist(await ask("DELETE", BUCKET, settings, {}, { prefixes: paths }));
}

function latest(times: unknown[]): number | undefined {
  const known = times.map((time) => Date.parse(String(time))).filter((time) => !Number.isNaN(time));
  return known.length > 0 ? Math.max(...known) : undefined;
}

export function resumableUrl({ publicUrl }: Settings): string {
  return `${publicUrl}/storage/v1/upload/resumable/sign`;
}

interface Answer {
  /** The real one, wherever it stands. */
  status: number;
  body: unknown;
}

function ask(
  method: string,
  route: string,
  settings: Settings,
  headers: Record<string, string> = {},
  json?: object,
): Promise<Answer> {
  return untilAnswered(settings, async () => {
    const answer = await read(await send(method, route, settings, headers, json));
    if (isTransient(answer.status)) throw new Error(`Storage answered ${answer.status}`);
    return answer;
  });
}

function send(
  method: string,
  route: string,
  settings: Settings,
  headers: Record<string, string>,
  json?: object,
): Promise<Response> {
  const body = json && { body: JSON.stringify(json), headers: { "content-type": "application/json" } };
  return askSupabase(`${storage(settings)}/object/${route}`, {
    method,
    ...body,
    headers: { ...keyHeaders(settings), ...body?.headers, ...headers },
    signal: AbortSignal.timeout(10_000),
  });
}

async function read(answer: Response): Promise<Answer> {
  const text = await answer.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A gateway's page, even with a 200, is no answer of Storage's.
    return { status: answer.ok ? 502 : answer.status, body: text };
  }
  const { statusCode } = (body ?? {}) as { statusCode?: unknown };
  return { status: answer.status === 400 ? Number(statusCode) || 400 : answer.status, body };
}

/**
 * Whether Storage itself says that there is no such object. A 404 without its words comes of a gateway that knows no such project
 * or route, and one about the bucket of a key that is no good any more: of the object neither says anything.
 */
function isMissing({ status, body }: Answer): boolean {
  const { statusCode, code, error, message } = (body ?? {}) as Record<string, unknown>;
  return status === 404 && statusCode !== undefined && !/bucket/i.test(`${code} ${error} ${message}`);
}

function insist(answer: Answer): Answer {
  if (answer.status < 300) return answer;
  throw isTransient(answer.status)
    ? new Problem("unavailable", { cause: new Error(`Storage answered ${answer.status}`) })
    : refused(`Storage answered ${answer.status}`);
}

function isTransient(status: number): boolean {
  return status >= 500 || status === 429 || status === 408 || status === 425;
}

function refused(why: string): Problem {
  return new Problem("upstream_refused", { cause: new Error(why) });
}

function inBucket(path: string): string {
  return `${BUCKET}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function storage({ supabaseUrl }: Settings): string {
  return `${supabaseUrl}/storage/v1`;
}
