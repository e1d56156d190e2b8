import limits from "../../../src/limits.json";
import { announcedSize, type BodyLimits, MAX_JSON_BYTES, parseObject, readBody, readJson, tooLarge } from "./body";
import { boundaryOf, type Part, parseMultipart } from "./multipart";
import { Problem } from "./problem";

/** What a form says of an image. */
export interface Described {
  /** The JSON of the part `request`. */
  request: Record<string, unknown>;
  /** The small picture that goes beside the image, if one came. */
  thumbnail: Uint8Array<ArrayBuffer> | undefined;
}

/** The parts of `POST /api/sync`. The bytes of all are in one place, and stay there. */
export interface SyncForm extends Described {
  image: Uint8Array<ArrayBuffer>;
  /** The whole of it, as it came. */
  packed: PackedForm;
}

/** A form as it travels and is stored. */
export interface PackedForm {
  body: Uint8Array<ArrayBuffer>;
  /** The `Content-Type`, boundary and all. */
  type: string;
}

/** Of a request without its image. */
export const JSON_LIMITS: BodyLimits = { bytes: MAX_JSON_BYTES, ms: 10_000 };
/** The same with a small picture, in a form. What stands around them is little. */
const COMMIT_LIMITS: BodyLimits = { bytes: MAX_JSON_BYTES + limits.thumbnail + 8_192, ms: 10_000 };

/** How many bytes the form may have; another body, and too long a one, is refused before it is read. */
export function expectForm(request: Request, limits: BodyLimits): number {
  if (!isForm(request)) throw new Problem("unsupported_type");
  return announcedSize(request, limits);
}

/** Reads a form that was expected. */
export async function readForm(request: Request, limits: BodyLimits, isInTheWay: () => boolean): Promise<SyncForm> {
  const body = await readBody(request, limits, isInTheWay);
  return parseForm({ body, type: `multipart/form-data; boundary="${boundaryOf(typeOf(request))}"` });
}

export function parseForm(packed: PackedForm): SyncForm {
  const parts = partsOf(packed, ["request", "image", "thumbnail"]);
  const described = describe(parts);
  const image = fileOf(parts, "image");
  if (image === undefined) throw once("image");
  return { ...described, image, packed };
}

/** How many bytes {@link readDescription} may take. */
export function expectDescription(request: Request): number {
  return announcedSize(request, isForm(request) ? COMMIT_LIMITS : JSON_LIMITS);
}

/** JSON, or a form that brings a small picture as well. */
export async function readDescription(request: Request, isInTheWay: () => boolean): Promise<Described> {
  if (!isForm(request)) return { request: await readJson(request, JSON_LIMITS, isInTheWay), thumbnail: undefined };
  const body = await readBody(request, COMMIT_LIMITS, isInTheWay);
  return describe(partsOf({ body, type: typeOf(request) }, ["request", "thumbnail"]));
}

function partsOf({ body, type }: PackedForm, names: PartName[]): Part[] {
  const parts = parseMultipart(body, type, names.length);
  if (parts.some(({ name }) => !(names as string[]).includes(name))) {
    throw invalid(`Only the parts ${names.join(", ")} are taken.`);
  }
  return parts;
}

function describe(parts: Part[]): Described {
  const request = only(parts, "request");
  if (request === undefined) throw once("request");
  if (request.bytes.length > MAX_JSON_BYTES) throw tooLarge(MAX_JSON_BYTES, "The part request");
  const thumbnail = fileOf(parts, "thumbnail");
  if (thumbnail !== undefined && thumbnail.length > limits.thumbnail) {
    throw tooLarge(limits.thumbnail, "The part thumbnail", "thumbnail");
  }
  return { request: parseObject(request.bytes, "The part request", "request"), thumbnail };
}

function isForm(request: Request): boolean {
  return /^multipart\/form-data\s*;/i.test(typeOf(request));
}

function typeOf(request: Request): string {
  return request.headers.get("content-type") ?? "";
}

type PartName = "image" | "request" | "thumbnail";

function fileOf(parts: Part[], name: PartName): Uint8Array<ArrayBuffer> | undefined {
  const part = only(parts, name);
  if (part === undefined) return undefined;
  if (!part.isFile) throw invalid(`The part ${name} has to be a file, with a filename.`, name);
  if (part.bytes.length === 0) throw invalid(`The ${name} is empty.`, name);
  return part.bytes;
}

/** Of two it would be open which one was checked. */
function only(parts: Part[], name: PartName): Part | undefined {
  const [part, ...more] = parts.filter((part) => part.name === name);
  if (more.length > 0) throw once(name);
  return part;
}

function once(name: PartName): Problem {
  return invalid(`The part ${name} is ${name === "thumbnail" ? "given twice" : "needed once"}.`, name);
}

function invalid(detail: string, field?: string): Problem {
  return new Problem("invalid_request", { detail, field });
}
