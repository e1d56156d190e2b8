import { Problem } from "./problem";

/** What a body may be. */
export interface BodyLimits {
  bytes: number;
  /** How long it may take to come. */
  ms: number;
}

/** Of JSON, which takes many times its size once it is parsed: enough for a long prompt and a large sidecar. */
export const MAX_JSON_BYTES = 256 * 1024;

/** How many bytes the body may turn out to have, by its own word; a longer one than allowed is refused right away. */
export function announcedSize(request: Request, { bytes }: BodyLimits): number {
  const length = request.headers.get("content-length");
  if (length === null) return bytes;
  if (Number(length) > bytes) throw tooLarge(bytes);
  return Number(length);
}

/** Reads a body, and refuses it before, or while, it is read, where it is too long or too slow. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  await readChunks(request, limits, (chunk) => chunks.push(chunk));
  return new Blob(chunks);
}

/**
 * Reads a body that nobody has begun to read, and keeps none of it. workerd closes the connection when it answers
 * before a body is there: who is still sending then sees a broken line instead of the answer.
 */
export async function discardBody(request: Request, limits: BodyLimits): Promise<void> {
  if (request.body?.locked) return;
  await readChunks(request, limits, () => {}).catch(() => {});
}

async function readChunks(request: Request, limits: BodyLimits, take: (chunk: Uint8Array<ArrayBuffer>) => void) {
  announcedSize(request, limits);
  let size = 0;
  const reader = request.body?.getReader();
  const timer = new AbortController();
  const late = scheduler.wait(limits.ms, { signal: timer.signal }).then(
    () => Promise.reject(new Problem("too_slow", { detail: `A request has to come within ${limits.ms} ms.` })),
    () => new Promise<never>(() => {}),
  );
  try {
    for (;;) {
      const chunk = await Promise.race([reader?.read(), late]);
      if (chunk === undefined || chunk.done) return;
      size += chunk.value.byteLength;
      if (size > limits.bytes) throw tooLarge(limits.bytes);
      take(chunk.value);
    }
  } catch (error) {
    // The sender may be too busy to hear of it: don't wait for the cancelling.
    reader?.cancel().catch(() => {});
    throw error;
  } finally {
    timer.abort();
  }
}

export function tooLarge(limit: number, what = "A request"): Problem {
  return new Problem("too_large", { detail: `${what} may have ${limit} bytes.` });
}

/** A JSON object. */
export async function readJson(request: Request, limits: BodyLimits): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Problem("unsupported_type", { detail: "Send JSON." });
  return parseObject(await (await readBody(request, limits)).text(), "The body");
}

/** `what` is what the text is called in front of the caller, `field` its name where it is one of several. */
export function parseObject(text: string, what: string, field?: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Problem("invalid_request", { detail: `${what} is not JSON.`, field, cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Problem("invalid_request", { detail: `${what} has to be a JSON object.`, field });
  }
  return value as Record<string, unknown>;
}
