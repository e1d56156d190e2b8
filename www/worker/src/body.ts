import limits from "../../../src/limits.json";
import { Problem } from "./problem";
import { timer } from "./timer";

/** What a body may be. */
export interface BodyLimits {
  bytes: number;
  /** How long it may take to come. */
  ms: number;
}

/** Of JSON, which takes many times its size once it is parsed: enough for a long prompt and a large sidecar. */
export const MAX_JSON_BYTES = limits.request;

/** How much is read at once: what a connection has by then, and no more than this. */
const PIECE_BYTES = 64 * 1024;
/** And no less, unless it is the end: a sender may make a chunk of each byte, and reading each would take some 20 µs. */
const LEAST_PIECE_BYTES = 4 * 1024;
/** What a body has to bring in a second, over this time, or it counts as slow. */
const LEAST_BYTES_PER_SECOND = 64_000;
const SLOW_AFTER_MS = 3_000;
/** How often a body that brings nothing is looked at. */
const LOOK_MS = 250;

/** What is still taken of a refused body. */
const DISCARD: BodyLimits = { bytes: 1024 * 1024, ms: 2_000 };
/** How many refused bodies are taken at once. */
const MAX_DISCARDED = 8;

/** How many bytes the body may turn out to have, by its own word; a longer one than allowed is refused right away. */
export function announcedSize(request: Request, { bytes }: BodyLimits): number {
  const length = lengthOf(request);
  if (length === undefined) return bytes;
  if (length > bytes) throw tooLarge(bytes);
  return length;
}

/**
 * Reads a body, and refuses it before, or while, it is read, where it is too long or too slow. `isInTheWay` says
 * whether somebody waits for the room that it takes: then it has to be quick.
 */
export async function readBody(
  request: Request,
  limits: BodyLimits,
  isInTheWay = () => false,
): Promise<Uint8Array<ArrayBuffer>> {
  announcedSize(request, limits);
  const known = lengthOf(request);
  // Nothing can be read into no room, not even that a body is empty.
  let buffer = new ArrayBuffer(Math.max(1, known ?? PIECE_BYTES));
  let size = 0;
  const pace = new Pace();
  // Each piece is written to where it stays.
  const room = () => {
    if (size === buffer.byteLength && known === undefined) buffer = grown(buffer, limits.bytes + 1);
    return new Uint8Array(buffer, size, Math.min(PIECE_BYTES, buffer.byteLength - size));
  };
  await readPieces(request, limits.ms, room, {
    take(piece) {
      buffer = piece.buffer;
      size += piece.byteLength;
      pace.count(piece.byteLength);
      if (size > limits.bytes) throw tooLarge(limits.bytes);
      return size === known;
    },
    look() {
      if (pace.isSlow() && isInTheWay())
        throw new Problem("too_slow", { detail: "Others wait for the room it takes." });
    },
  });
  return new Uint8Array(buffer, 0, size);
}

/** When refused bodies are given up at the latest: an invocation whose client went away may not say that it ended. */
const discarded = new Set<{ until: number }>();

/**
 * Reads some of a body that nobody has begun to read, and keeps none of it. workerd closes the connection when it
 * answers before a body is there: who is still sending then sees a broken line instead of the answer. What takes longer,
 * or is more, than that is worth has its line broken.
 */
export async function discardBody(request: Request): Promise<void> {
  const { body } = request;
  if (body === null || body.locked) return;
  const now = Date.now();
  for (const other of discarded) if (other.until < now) discarded.delete(other);
  if (discarded.size >= MAX_DISCARDED) return;
  const self = { until: now + 2 * DISCARD.ms };
  discarded.add(self);
  let buffer = new ArrayBuffer(PIECE_BYTES);
  let size = 0;
  try {
    await readPieces(request, DISCARD.ms, () => new Uint8Array(buffer), {
      take(piece) {
        buffer = piece.buffer;
        size += piece.byteLength;
        return size >= DISCARD.bytes;
      },
    });
  } catch {
    // Too slow, or gone: either way there is nobody to be kept waiting.
  } finally {
    discarded.delete(self);
  }
}

interface Pieces {
  /** Returns whether that was the last one that is wanted. */
  take(piece: Uint8Array<ArrayBuffer>): boolean;
  /** Called now and then, also while nothing comes. What it throws ends the reading. */
  look?(): void;
}

/** Reads into what `room` gives, piece by piece. */
async function readPieces(
  request: Request,
  withinMs: number,
  room: () => Uint8Array<ArrayBuffer>,
  { take, look }: Pieces,
): Promise<void> {
  if (request.body === null) return;
  const until = Date.now() + withinMs;
  const reader = readerOf(request.body);
  let next = readPiece(reader, room());
  let tick = timer(LOOK_MS);
  try {
    for (;;) {
      const piece = await Promise.race([next, tick.over]);
      if (Date.now() > until) {
        throw new Problem("too_slow", { detail: `A request has to come within ${withinMs} ms.` });
      }
      if (piece === undefined) {
        look?.();
        tick = timer(LOOK_MS);
        continue;
      }
      // At the end too it brings back the room that it was given.
      const isLast = piece.value !== undefined && take(piece.value);
      if (piece.done || isLast) return;
      next = readPiece(reader, room());
    }
  } catch (error) {
    // The sender may be too busy to hear of it: don't wait for the cancelling.
    next.catch(() => {});
    reader.cancel().catch(() => {});
    throw error;
  } finally {
    tick.stop();
  }
}

type Piece = ReadableStreamReadResult<Uint8Array<ArrayBuffer>>;

/** A reader that waits for more than the first byte: the standard's, or workerd's own. */
interface PatientReader {
  read(room: Uint8Array<ArrayBuffer>, options: { min: number }): Promise<Piece>;
  readAtLeast?(min: number, room: Uint8Array<ArrayBuffer>): Promise<Piece>;
}

function readPiece(reader: ReadableStreamBYOBReader, room: Uint8Array<ArrayBuffer>): Promise<Piece> {
  const min = Math.min(LEAST_PIECE_BYTES, room.byteLength);
  const patient = reader as unknown as PatientReader;
  return patient.readAtLeast?.(min, room) ?? patient.read(room, { min });
}

/** A reader that writes into the room it is given. Not every host makes bodies of that kind. */
function readerOf(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return toByteStream(body).getReader({ mode: "byob" });
  }
}

function toByteStream(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      const { done, value } = await reader.read();
      // A copy: what is put into such a stream is taken away from its owner.
      if (!done) return controller.enqueue(value.slice());
      controller.close();
      controller.byobRequest?.respond(0);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/** How quickly a body comes, looked at over some seconds at a time. */
class Pace {
  #since = Date.now();
  #bytes = 0;
  #wasSlow = false;

  count(bytes: number): void {
    this.#bytes += bytes;
  }

  isSlow(): boolean {
    const ms = Date.now() - this.#since;
    if (ms >= SLOW_AFTER_MS) {
      this.#wasSlow = this.#bytes < (LEAST_BYTES_PER_SECOND * ms) / 1000;
      this.#since += ms;
      this.#bytes = 0;
    }
    return this.#wasSlow;
  }
}

/** Nothing of what is no number: two equal lengths are a list in Deno. */
function lengthOf(request: Request): number | undefined {
  const length = request.headers.get("content-length") ?? "";
  return /^\d+$/.test(length) ? Number(length) : undefined;
}

/** Twice as large, with what is in it. */
function grown(buffer: ArrayBuffer, most: number): ArrayBuffer {
  const larger = new Uint8Array(Math.min(2 * buffer.byteLength, most));
  larger.set(new Uint8Array(buffer));
  return larger.buffer;
}

export function tooLarge(limit: number, what = "A request", field?: string): Problem {
  return new Problem("too_large", { detail: `${what} may have ${limit} bytes.`, field });
}

/** A JSON object. */
export async function readJson(
  request: Request,
  limits: BodyLimits,
  isInTheWay?: () => boolean,
): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Problem("unsupported_type", { detail: "Send JSON." });
  return parseObject(await readBody(request, limits, isInTheWay), "The body");
}

/** `what` is what the text is called in front of the caller, `field` its name where it is one of several. */
export function parseObject(utf8: Uint8Array, what: string, field?: string): Record<string, unknown> {
  let value: unknown;
  try {
    // Of another encoding each letter that is none of ASCII's would be stored as a question mark.
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(utf8));
  } catch {
    // Without its cause, which quotes what came, a prompt for example.
    throw new Problem("invalid_request", { detail: `${what} is no JSON in UTF-8.`, field });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Problem("invalid_request", { detail: `${what} has to be a JSON object.`, field });
  }
  return value as Record<string, unknown>;
}
