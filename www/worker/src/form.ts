import { Problem } from "./problem";

/** The two parts of `POST /api/sync`. */
export interface SyncForm {
  image: File;
  /** The JSON of the part `request`. */
  request: Record<string, unknown>;
}

/** Reads a multipart body of at most `limit` bytes; a longer one is refused before, or while, it is read. */
export async function readSyncForm(request: Request, limit: number): Promise<SyncForm> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type)) throw new Problem("unsupported_type");
  const form = await parse(await readBody(request, limit), type);

  for (const name of form.keys()) {
    if (name !== "image" && name !== "request") throw invalid("Only the parts image and request are taken.");
  }
  const image = only(form, "image");
  if (typeof image === "string") throw invalid("The part image has to be a file, with a filename.", "image");
  if (image.size === 0) throw invalid("The image is empty.", "image");
  return { image, request: parseRequest(await textOf(only(form, "request"))) };
}

async function readBody(request: Request, limit: number): Promise<Blob> {
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

async function parse(body: Blob, type: string): Promise<FormData> {
  try {
    return await new Response(body, { headers: { "content-type": type } }).formData();
  } catch (cause) {
    throw new Problem("invalid_request", { detail: "The body is no complete multipart/form-data.", cause });
  }
}

function only(form: FormData, name: "image" | "request"): File | string {
  const [part, ...more] = form.getAll(name);
  if (part === undefined || more.length > 0) throw invalid(`The part ${name} is needed once.`, name);
  return part;
}

/** A page may append the JSON as text, or as a Blob of type application/json. */
async function textOf(part: File | string): Promise<string> {
  return typeof part === "string" ? part : part.text();
}

function parseRequest(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Problem("invalid_request", { detail: "The part request is not JSON.", field: "request", cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("The part request has to be a JSON object.", "request");
  }
  return value as Record<string, unknown>;
}

function invalid(detail: string, field?: string): Problem {
  return new Problem("invalid_request", { detail, field });
}
