import { type ErrorCode, type ImagenCloudError, isImagenCloudError } from "imagen-cloud";

/** What can go wrong, as the caller is told: HTTP status, title, and what to do about it. */
const KINDS = {
  invalid_request: [400, "Invalid request", "The request is malformed."],
  owner_not_allowed: [400, "Owner not allowed", "The image's owner is the signed-in user; leave this field out."],
  unauthorized: [401, "Not signed in", "A valid access token is needed. Sign in again."],
  forbidden: [403, "Forbidden", "This token's user may not do this."],
  not_yours: [403, "Not yours", "The image is not yours."],
  origin_not_allowed: [403, "Origin not allowed", "Pages of this origin may not call this service."],
  ticket_invalid: [403, "Not your ticket", "The ticket is none of this service's for this user. Ask for a new one."],
  not_found: [404, "Not found", "There is nothing here."],
  object_missing: [404, "No such image", "No image is stored under this path."],
  method_not_allowed: [405, "Method not allowed", "This route does not take that method."],
  too_slow: [408, "Too slow", "The request took too long to come."],
  id_taken: [409, "Image id taken", "The imageId belongs to another image; use a new one."],
  not_uploaded: [409, "Nothing uploaded", "The ticket's upload has not been completed."],
  upload_mismatch: [409, "Another upload", "What was uploaded is not what the ticket says."],
  image_removed: [410, "Image removed", "The image was removed by its user, and does not come back."],
  ticket_expired: [410, "Ticket expired", "Renew the ticket, then try again."],
  too_large: [413, "Too large", "The image is larger than allowed."],
  unsupported_type: [415, "Unsupported type", "Send multipart/form-data with an image."],
  invalid_image: [415, "Not a supported image", "The file is no image of the type it says it is."],
  row_refused: [422, "Row refused", "The project's database refuses the image's row, by a rule of its own."],
  rate_limited: [429, "Too many requests", "Wait, then try again."],
  misconfigured: [500, "Misconfigured", "The service is not set up correctly."],
  internal: [500, "Internal error", "Something went wrong here. Try again."],
  upstream_refused: [502, "Storage refused", "The image store refused the request."],
  busy: [503, "Busy", "Too many images are on their way. Try again."],
  unavailable: [503, "Unavailable", "The image store can't be reached now. Try again."],
} as const satisfies Record<string, readonly [status: number, title: string, detail: string]>;

export type ProblemCode = keyof typeof KINDS;

interface ProblemOptions {
  /** Instead of the kind's own text. Only for what the caller sent or can change. */
  detail?: string | undefined;
  /** The field of the request at fault. */
  field?: string | undefined;
  /** The methods that the route takes, sent as `Allow`. */
  allow?: string[] | undefined;
  /** Sent as `Retry-After`. */
  retryAfterSeconds?: number | undefined;
  /** Where the image was to go: the same id makes another try harmless. */
  imageId?: string | undefined;
  /** What the log is told and the caller is not. */
  cause?: unknown;
}

/** An answer other than success. Thrown anywhere, answered by `api.ts` as RFC 9457's problem+json. */
export class Problem extends Error {
  readonly status: number;
  readonly detail: string;
  readonly field: string | undefined;
  readonly imageId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly #allow: string[] | undefined;

  constructor(
    readonly code: ProblemCode,
    options: ProblemOptions = {},
  ) {
    super(code, { cause: options.cause });
    const [status, , detail] = KINDS[code];
    this.status = status;
    this.detail = options.detail ?? detail;
    this.field = options.field;
    this.imageId = options.imageId;
    this.retryAfterSeconds = options.retryAfterSeconds ?? (status === 503 || status === 429 ? 5 : undefined);
    this.#allow = options.allow;
  }

  toAnswer(requestId: string): { status: number; headers: Record<string, string>; body: object } {
    const headers: Record<string, string> = { "content-type": "application/problem+json" };
    if (this.retryAfterSeconds !== undefined) headers["retry-after"] = String(this.retryAfterSeconds);
    if (this.status === 401) headers["www-authenticate"] = 'Bearer realm="imagen-cloud"';
    if (this.#allow !== undefined) headers.allow = this.#allow.join(", ");
    const body = {
      type: "about:blank",
      title: KINDS[this.code][1],
      status: this.status,
      detail: this.detail,
      code: this.code,
      field: this.field,
      imageId: this.imageId,
      requestId,
    };
    return { status: this.status, headers, body };
  }
}

/** The package's codes that mean something to the caller; every other one is between the Worker and Supabase. */
const FROM_PACKAGE: Partial<Record<ErrorCode, ProblemCode>> = {
  invalid_request: "invalid_request",
  invalid_image: "invalid_image",
  type_not_allowed: "invalid_image",
  too_large: "too_large",
  id_taken: "id_taken",
  object_missing: "object_missing",
  rate_limited: "rate_limited",
  unavailable: "unavailable",
  network: "unavailable",
  timeout: "unavailable",
  deadline_exceeded: "unavailable",
  invalid_config: "misconfigured",
};

/** Whatever was thrown, as it is answered. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return isImagenCloudError(error) ? problemFrom(error) : new Problem("internal", { cause: error });
}

/** Characters of the caller's own texts that an answer quotes back. */
const QUOTED = 1_000;
const QUOTED_NAME = 64;

/** What an error of the package is to the caller. Its text is passed on only where it is about the caller's request. */
function problemFrom(error: ImagenCloudError): Problem {
  return new Problem(codeOf(error), {
    detail: error.stage === "request" ? error.message.slice(0, QUOTED) : undefined,
    field: error.stage === "request" ? error.field?.slice(0, QUOTED_NAME) : undefined,
    imageId: error.imageId,
    retryAfterSeconds: error.retryAfterMs === undefined ? undefined : Math.ceil(error.retryAfterMs / 1000),
    cause: error,
  });
}

/** SQLSTATEs that are about the row, beside those of the caller's fields: a user that is gone, a trigger's refusal. */
const ROWS_FAULT = /^(23...|P0001)$/;

function codeOf({ code, serverCode = "" }: ImagenCloudError): ProblemCode {
  if (code === "rejected") {
    // What Storage (InvalidKey) and the table's checks (SQLSTATE 22, 23514) refuse came from the caller's fields.
    if (/^(InvalidKey|22...|23514)$/.test(serverCode)) return "invalid_request";
    if (ROWS_FAULT.test(serverCode)) return "row_refused";
  }
  return FROM_PACKAGE[code] ?? "upstream_refused";
}
