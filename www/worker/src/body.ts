import { Problem } from "./problem";

/** Reads a body of at most `limit` bytes; a longer one is refused before, or while, it is read. */
export async function readBody(request: Request, limit: number): Promise<Blob> {
  const tooLarge = () => new Problem("too_large", { detail: `A request may have ${limit} bytes, image and all.` });
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge();
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const chunk = await reader?.read();
    if (chunk === undefined || chunk.done) return new Blob(chunks);
    size += chunk.value.byteLength;
    if (size > limit) {
      // The sender may be too busy to hear of it: don't wait for the cancelling.
      reader?.cancel().catch(() => {});
      throw tooLarge();
    }
    chunks.push(chunk.value);
  }
}

/** A JSON object of at most `limit` bytes. */
export async function readJson(request: Request, limit: number): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Problem("unsupported_type", { detail: "Send JSON." });
  return parseObject(await (await readBody(request, limit)).text(), "The body");
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
