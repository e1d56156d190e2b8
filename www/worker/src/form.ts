import { announcedSize, type BodyLimits, MAX_JSON_BYTES, parseObject, readBody, tooLarge } from "./body";
import { Problem } from "./problem";

/** The two parts of `POST /api/sync`. */
export interface SyncForm {
  image: File;
  /** The JSON of the part `request`. */
  request: Record<string, unknown>;
}

/** How many bytes the form may have; another body, and too long a one, is refused before it is read. */
export function expectForm(request: Request, limits: BodyLimits): number {
  if (!/^multipart\/form-data\s*;/i.test(typeOf(request))) throw new Problem("unsupported_type");
  return announcedSize(request, limits);
}

/** Reads a form that was expected. */
export async function readForm(request: Request, limits: BodyLimits): Promise<SyncForm> {
  return parseForm(await readBody(request, limits), typeOf(request));
}

/** `type` is the `Content-Type`, boundary and all. */
export async function parseForm(body: Blob | ArrayBuffer, type: string): Promise<SyncForm> {
  const form = await parse(body, type);
  for (const name of form.keys()) {
    if (name !== "image" && name !== "request") throw invalid("Only the parts image and request are taken.");
  }
  const request = await textOf(only(form, "request"));
  if (request.length > MAX_JSON_BYTES) throw tooLarge(MAX_JSON_BYTES, "The part request");
  const image = only(form, "image");
  if (typeof image === "string") throw invalid("The part image has to be a file, with a filename.", "image");
  if (image.size === 0) throw invalid("The image is empty.", "image");
  return { image, request: parseObject(request, "The part request", "request") };
}

/** The same two parts in one body, for {@link parseForm}. */
export function makeForm({ image, request }: SyncForm): Response {
  const form = new FormData();
  form.append("request", JSON.stringify(request));
  form.append("image", image);
  return new Response(form);
}

function typeOf(request: Request): string {
  return request.headers.get("content-type") ?? "";
}

async function parse(body: Blob | ArrayBuffer, type: string): Promise<FormData> {
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

function invalid(detail: string, field?: string): Problem {
  return new Problem("invalid_request", { detail, field });
}
