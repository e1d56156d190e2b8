// What callers send and tickets hold, each described once. The fields of a request are the package's to check, unknown
// ones too: here stands only what it can't know, and what has to hold before anything is kept or sent.
import * as v from "valibot";
import limits from "../../../src/limits.json";
import { Problem, type ProblemCode } from "./problem";
import type { Settings } from "./settings";

const MAX_TTL_SECONDS = 86_400;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const OWNER = "The owner is no part of the JSON.";
const ID = "imageId is a UUID, such as 11111111-2222-4333-8444-555555555555.";
const SIZE = "size is the image's number of bytes.";
const TYPE = "mimeType says what the image will be.";
const TTL = `ttl is a number of seconds, 1 to ${MAX_TTL_SECONDS}.`;

const IMAGE = "The image's bytes are no part of the JSON.";
const PATH = "path is needed.";
export const NO_PATH = "storagePath is a path, such as one of an answer.";
const SIDECAR = `sidecar may have ${limits.sidecar} bytes.`;

const SIDE = "width and height are numbers of pixels, 1 to 2500.";
const QUALITY = "quality is 20 to 100.";
const RESIZE = "resize is cover, contain or fill.";
const FORMAT = "format is origin.";
const LIMIT = "limit is a number of images, 1 to 500.";
const THUMBNAIL = "thumbnail is true, or left out.";
const COLUMNS = "columns is an object of the row's further columns.";

/** What a refusal may say. */
const WORDS = [
  OWNER,
  ID,
  SIZE,
  TYPE,
  TTL,
  IMAGE,
  PATH,
  NO_PATH,
  SIDECAR,
  SIDE,
  QUALITY,
  RESIZE,
  FORMAT,
  LIMIT,
  THUMBNAIL,
  COLUMNS,
];
/** What it says of a field that is not there. */
const MISSING: Partial<Record<string, string>> = { size: SIZE, mimeType: TYPE, path: PATH };

/** In bytes of UTF-8. */
const text = (limit: number) => v.nullish(v.pipe(v.string(), v.maxBytes(limit)));

/** `undefined` for what is nested too deep to be written: the package refuses that. */
function jsonBytes(value: unknown): number | undefined {
  try {
    return new TextEncoder().encode(JSON.stringify(value)).length;
  } catch {
    return undefined;
  }
}

/** The JSON of a `SyncRequest` without its image. */
export const RequestShape = v.object({
  ownerUserId: v.optional(v.never(OWNER)),
  owner_user_id: v.optional(v.never(OWNER)),
  pathPrefix: v.optional(v.never(OWNER)),
  image: v.optional(v.never(IMAGE)),
  // As the database writes it. It knows more spellings of one id (`urn:uuid:`, braces, no hyphens); here each would be
  // another name for what is staged or stored.
  imageId: v.nullish(v.pipe(v.string(ID), v.regex(UUID, ID), v.toLowerCase()), () => crypto.randomUUID()),
  // JSON has no int64, so a seed may be decimal text. A number past 2^53 was rounded already: the package refuses it.
  seed: v.optional(
    v.pipe(
      v.unknown(),
      v.transform((seed) => (typeof seed === "string" && /^-?\d{1,19}$/.test(seed) ? BigInt(seed) : seed)),
    ),
  ),
  ext: text(limits.ext),
  mimeType: text(limits.mimeType),
  model: text(limits.model),
  backend: text(limits.backend),
  prompt: text(limits.prompt),
  sidecar: v.optional(
    v.pipe(
      v.unknown(),
      v.check((value) => (jsonBytes(value) ?? 0) <= limits.sidecar, SIDECAR),
    ),
  ),
  // Which names a row takes is the Worker's setting, see `refuseColumns`.
  columns: v.nullish(v.record(v.string(), v.unknown(), COLUMNS)),
});

/** The same with what a ticket has to know before there is an image. */
export const WishShape = v.object({
  ...RequestShape.entries,
  size: v.pipe(v.number(SIZE), v.safeInteger(SIZE), v.minValue(1, SIZE)),
  // As the upload will have to declare it: the bucket compares letter by letter.
  mimeType: v.pipe(v.string(TYPE), v.regex(/^image\/[a-z]+$/, TYPE)),
});

/** What a ticket says, beside whose it is and when it ends. */
export const TicketShape = v.object({
  imageId: v.string(),
  /** Where the image will be. */
  storagePath: v.string(),
  /** Bytes of the image. */
  size: v.number(),
  mimeType: v.string(),
  /** When the first ticket for this upload was made, in seconds since 1970. A renewed one keeps it. */
  iat: v.number(),
});

/** A whole number in a query. */
const whole = (least: number, most: number, word: string) =>
  v.pipe(v.string(), v.regex(/^\d{1,6}$/, word), v.transform(Number), v.minValue(least, word), v.maxValue(most, word));
const seconds = whole(1, MAX_TTL_SECONDS, TTL);
const side = v.optional(whole(1, 2500, SIDE));

/** What a query says of a link. */
export const LinkShape = v.object({
  ttl: v.optional(seconds),
  width: side,
  height: side,
  resize: v.optional(v.picklist(["cover", "contain", "fill"], RESIZE)),
  quality: v.optional(whole(20, 100, QUALITY)),
  format: v.optional(v.picklist(["origin"], FORMAT)),
});

/** The query of a signed URL. */
export const SignShape = v.object({
  path: v.pipe(v.string(PATH), v.nonEmpty(PATH)),
  ...LinkShape.entries,
  ttl: v.optional(seconds, "3600"),
});

/** What a query says of how images are told, beside the same. */
export const ShownShape = v.object({
  thumbnail: v.optional(v.picklist(["true"], THUMBNAIL)),
  columns: v.optional(
    v.pipe(
      v.string(),
      // Each once: a name that comes again and again would have the row's value so often.
      v.transform((names) => [...new Set(names.split(",").filter((name) => name !== ""))]),
    ),
  ),
});

/** The same of a list. Where it begins is the package's to check. */
export const ListShape = v.object({
  ...ShownShape.entries,
  limit: v.optional(whole(1, 500, LIMIT)),
  before: v.optional(v.string()),
});

const ImageId = v.pipe(v.string(ID), v.regex(UUID, ID), v.toLowerCase());

/** Which image is meant, by its id. */
export const IdShape = v.object({ imageId: ImageId });

/** Which image is meant, by its id, its path or both. */
export const ImageShape = v.object({
  imageId: v.optional(ImageId),
  storagePath: v.optional(v.pipe(v.string(), v.nonEmpty(NO_PATH), v.maxBytes(limits.path))),
});

/** Refusals that have a code of their own, by the shape's word for it. */
const CODES: Partial<Record<string, ProblemCode>> = { [OWNER]: "owner_not_allowed", [TYPE]: "invalid_image" };

/** Throws a problem that names the field. Its texts are ours alone: nothing that came is quoted. */
export function read<Shape extends v.GenericSchema>(shape: Shape, value: unknown): v.InferOutput<Shape> {
  const result = v.safeParse(shape, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  // A name of the shape's, never one that came.
  const field = v.getDotPath(issue) ?? undefined;
  const word = issue.type === "object" ? MISSING[field ?? ""] : WORDS.find((known) => known === issue.message);
  const limit =
    issue.type === "max_bytes" ? `${field} may have ${issue.requirement} bytes.` : `${field} has to be text.`;
  throw new Problem(CODES[word ?? ""] ?? "invalid_request", {
    detail: word === OWNER ? undefined : (word ?? limit),
    field,
  });
}

/** Throws for a column that the settings don't name: with the service's key every one of the table could be written. */
export function refuseColumns(names: string[], { columns }: Settings): void {
  const other = names.find((name) => !columns.includes(name));
  if (other === undefined) return;
  const detail = "The service takes no column of that name.";
  throw new Problem("invalid_request", { detail, field: `columns.${other.slice(0, 64)}` });
}

export function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}
