import { parseObject, readBody } from "./body";
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
  return { image, request: parseObject(await textOf(only(form, "request")), "The part request", "request") };
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

function invalid(detail: string, field?: string): Problem {
  return new Problem("invalid_request", { detail, field });
}
