import { isImagenCloudError } from "imagen-cloud/outbox";

/** An error as people are told of it. */
export interface Advice {
  title: string;
  /** What to do about it. */
  hint: string;
  /** The error's own words, for whoever wants to know. */
  detail: string;
  /** It may be the set-up's fault. */
  mayBeSetUp: boolean;
}

const OFFLINE = [
  "Can't reach the server",
  "Check your connection. Your picture is still here: send it again when you're back online.",
];
const SIGN_IN = ["You've been signed out", "Sign out and in again, then send the picture once more."];
const SET_UP = [
  "The project isn't set up for this",
  "Whoever runs it has to apply the migration and expose the imagen schema.",
];
const FULL = [
  "There's no room left on this device",
  "Let the pictures in the outbox go out, or discard some. Your picture is still here.",
];

const UNKNOWN = ["That didn't work", "Send it again; it can't arrive twice."];

/** Title and hint by the package's codes. */
const BY_CODE: Record<string, string[]> = {
  network: OFFLINE,
  timeout: ["The server took too long", "Your picture is still here. Send it again; it can't arrive twice."],
  deadline_exceeded: ["The server took too long", "Your picture is still here. Send it again; it can't arrive twice."],
  unavailable: ["The server is having a moment", "Your picture is still here. Wait a little, then send it again."],
  rate_limited: ["That was a lot at once", "Wait a minute, then send it again."],
  too_large: ["The picture is too large", "Choose a smaller file, or save it with stronger compression."],
  type_not_allowed: ["This kind of image isn't taken", "Use PNG, JPEG, WebP, AVIF or GIF."],
  invalid_image: [
    "This isn't a usable image",
    "The file's contents don't match its type. Open it in an editor and save it anew.",
  ],
  unauthorized: SIGN_IN,
  token_unavailable: SIGN_IN,
  wrong_user: SIGN_IN,
  forbidden: ["Not allowed", "A policy refused. You can write to your own folder only."],
  bucket_missing: SET_UP,
  schema_not_exposed: SET_UP,
  table_missing: SET_UP,
  outbox_full: FULL,
  quota_exceeded: FULL,
  storage_unavailable: [
    "This browser keeps nothing here",
    "What you send goes out at once: keep this page open until it has arrived.",
  ],
  outbox_too_new: ["The outbox is from a newer version", "Close the other tabs of this app, then reload this one."],
  job_unreadable: ["This entry is damaged", "It can't be sent any more. Discard it, and send the picture again."],
};

export function adviceFor(error: unknown): Advice {
  const [title = "", hint = ""] = BY_CODE[codeOf(error)] ?? UNKNOWN;
  return { title, hint, detail: messageOf(error), mayBeSetUp: mayBeSetUp(error) };
}

/** What a project answers with that is not set up right, as far as one answer can tell. */
const SET_UP_CODES = new Set([
  ...["bucket_missing", "schema_not_exposed", "table_missing", "unauthorized", "forbidden"],
  ...["type_not_allowed", "bad_response", "rejected", "invalid_config", "secret_key_in_browser"],
]);

export function mayBeSetUp(error: unknown): boolean {
  return SET_UP_CODES.has(codeOf(error));
}

const SAFE = "Your pictures are safe there.";

const NOT_SET_UP =
  "The project isn't set up for this. Whoever runs it has to apply the migration and expose the imagen schema.";

/** What to say where pictures could not be read, by the failure's code. */
const WHILE_READING: Record<string, string> = {
  network: `The server can't be reached. ${SAFE}`,
  rate_limited: `That was a lot at once. ${SAFE}`,
  unauthorized: "You've been signed out. Sign out and in again to see them.",
  token_unavailable: "You've been signed out. Sign out and in again to see them.",
  forbidden: "A policy refused to show them. Whoever runs the project can look after it.",
  table_missing: NOT_SET_UP,
  schema_not_exposed: NOT_SET_UP,
};

export function readingAdviceFor(code: string): string {
  return WHILE_READING[code] ?? `The server is having a moment. ${SAFE}`;
}

export function isAborted(error: unknown): boolean {
  if (isImagenCloudError(error)) return error.code === "aborted";
  return error instanceof DOMException && error.name === "AbortError";
}

function messageOf(error: unknown): string {
  const told = error as { message?: unknown } | undefined;
  return typeof told?.message === "string" ? told.message : String(error);
}

/** Of an error, or of what an outbox keeps of one. */
export function codeOf(error: unknown): string {
  const told = error as { code?: unknown } | undefined;
  if (isImagenCloudError(error) || !(error instanceof Error)) {
    return typeof told?.code === "string" ? told.code : "";
  }
  // What fetch rejects with when there is no answer.
  return error instanceof TypeError ? "network" : "";
}
