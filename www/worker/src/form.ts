import { announcedSize, type BodyLimits, MAX_JSON_BYTES, parseObject, readBody, tooLarge } from "./body";
import { boundaryOf, type Part, parseMultipart } from "./multipart";
import { Problem } from "./problem";

/** The two parts of `POST /api/sync`. The bytes of both are in one place, and stay there. */
export interface SyncForm {
  image: Uint8Array<ArrayBuffer>;
  /** The JSON of the part `request`. */
  request: Record<string, unknown>;
  /** The whole of it, as it came. */
  packed: PackedForm;
}

/** A form as it travels and is stored. */
export interface PackedForm {
  body: Uint8Array<ArrayBuffer>;
  /** The `Content-Type`, boundary and all. */
  type: string;
}

/** The parts that a form may have. */
const PARTS = ["request", "image"];

/** How many bytes the form may have; another body, and too long a one, is refused before it is read. */
export function expectForm(request: Request, limits: BodyLimits): number {
  if (!/^multipart\/form-data\s*;/i.test(typeOf(request))) throw new Problem("unsupported_type");
  return announcedSize(request, limits);
}

/** Reads a form that was expected. */
export async function readForm(request: Request, limits: BodyLimits, isInTheWay: () => boolean): Promise<SyncForm> {
  const body = await readBody(request, limits, isInTheWay);
  return parseForm({ body, type: `multipart/form-data; boundary="${boundaryOf(typeOf(request))}"` });
}

export function parseForm(packed: PackedForm): SyncForm {
  const parts = parseMultipart(packed.body, packed.type, PARTS.length);
  if (parts.some(({ name }) => !PARTS.includes(name))) throw invalid("Only the parts image and request are taken.");
  const request = only(parts, "request");
  if (request.bytes.length > MAX_JSON_BYTES) throw tooLarge(MAX_JSON_BYTES, "The part request");
  const image = only(parts, "image");
  if (!image.isFile) throw invalid("The part image has to be a file, with a filename.", "image");
  if (image.bytes.length === 0) throw invalid("The image is empty.", "image");
  return {
    image: image.bytes,
    request: parseObject(request.bytes, "The part request", "request"),
    packed,
  };
}

function typeOf(request: Request): string {
  return request.headers.get("content-type") ?? "";
}

function only(parts: Part[], name: "image" | "request"): Part {
  const [part, ...more] = parts.filter((part) => part.name === name);
  if (part === undefined || more.length > 0) throw invalid(`The part ${name} is needed once.`, name);
  return part;
}

function invalid(detail: string, field?: string): Problem {
  return new Problem("invalid_request", { detail, field });
}
