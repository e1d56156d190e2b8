// Reads what callers pass: every field once, each checked for its type and for what Rust's types can't hold.
import { messageOf, value } from "../host/safe.js";

/** The largest `int` of PostgreSQL and of timers. */
const MAX_INT = 2 ** 31 - 1;
/** How deep a sidecar may be nested; a cycle is deeper. */
const SIDECAR_DEPTH = 100;
/** How long a list and a text may be: the WebAssembly's memory never shrinks, and running out of it is the end of it. */
const MAX_MEMBERS = 100_000;
const MAX_TEXT = 2 ** 22;
/** How much of a name that a caller made up is told back. */
const MAX_NAME = 64;
/** What a signed URL is valid for when nothing else is said. */
const DEFAULT_TTL_SECONDS = 3600;

const connectionChecks = () => ({
  url: text,
  ownerUserId: text,
  accessToken: callback,
  maxRetries: integer(-MAX_INT - 1),
  initialBackoffMs: integer(0),
  maxBackoffMs: integer(0),
  timeoutMs: integer(1),
  resumableFrom: integer(1),
  chunkSize: integer(1),
  fetch: callback,
});

export const options = (given) =>
  checked(given, "options", {
    ...connectionChecks(),
    apiKey: text,
    bucket: text,
    schema: text,
    table: text,
    pathPrefix: text,
    cacheControl: text,
    requireImage: flag,
    dangerouslyAllowSecretKeyInBrowser: flag,
  });

export const envOptions = (given) => checked(given ?? {}, "options", { required: flag });

export const relayOptions = (given) =>
  checked(given, "options", { ...connectionChecks(), accessToken: required(callback) });

export const syncRequest = (given) =>
  checked(given, "request", {
    date: text,
    slug: text,
    seed: required(seed),
    image: (image) => image,
    ext: ending,
    mimeType: text,
    prompt: required(text),
    backend: required(text),
    model: text,
    steps: integer(0),
    width: integer(0),
    height: integer(0),
    latencyMs: integer(0),
    costUsdEstimate: cost,
    sidecar,
    imageId: text,
  });

export const prepared = (given) =>
  checked(given, "prepared", {
    storagePath: required(text),
    imageId: required(text),
    mimeType: text,
    row: required(text),
  });

export const signRequest = (storagePath, ttlSeconds) =>
  checked({ storagePath, ttlSeconds: ttlSeconds ?? DEFAULT_TTL_SECONDS }, "request", {
    storagePath: required(text),
    ttlSeconds: ttl,
  });

const callChecks = { signal, deadlineMs: integer(0), onRetry: callback };

export const signOptions = (given) => checked(given ?? {}, "call options", { ...callChecks, download });

const syncChecks = { ...callChecks, onProgress: callback };

export const syncOptions = (given) => checked(given ?? {}, "call options", syncChecks);

export const manyOptions = (given) => checked(given ?? {}, "call options", { ...syncChecks, concurrency: integer(1) });

export const outboxOptions = (given) =>
  checked(given, "outbox options", {
    concurrency: integer(1),
    maxJobs: integer(1),
    maxBytes: bytes,
    automatic: flag,
    serviceWorker: (registration) => registration,
  });

/** The members of an array, each read once; or a `Fault`. */
export function list(given, name) {
  try {
    return at(name, () => {
      check(Array.isArray(given), "must be an array");
      checkLength(given, MAX_MEMBERS);
      return Array.from({ length: given.length }, (_, index) => given[index]);
    });
  } catch (fault) {
    return fault;
  }
}

/** A problem with one field. */
class Fault {
  constructor(field, problem) {
    this.field = cut(field);
    this.problem = problem;
  }
}

/** The fields that are given, or the first `Fault`. */
function checked(given, what, checks) {
  try {
    return at(what, () => {
      check(isObject(given), "must be an object");
      const unknown = Object.keys(given).find((name) => !Object.hasOwn(checks, name));
      if (unknown !== undefined) throw new Fault(unknown, `is unknown${hint(unknown, Object.keys(checks))}`);
      const fields = {};
      for (const [name, read] of Object.entries(checks)) {
        const field = at(name, () => given[name]) ?? undefined;
        if (field !== undefined || read.required) fields[name] = at(name, () => read(field));
      }
      return fields;
    });
  } catch (fault) {
    return fault;
  }
}

/** Runs a check of a field; what it throws becomes a `Fault`. */
function at(field, run) {
  try {
    return run();
  } catch (thrown) {
    throw thrown instanceof Fault ? thrown : new Fault(field, messageOf(thrown));
  }
}

function check(holds, problem) {
  if (!holds) throw new Error(problem);
}

const checkLength = ({ length }, most) => check(length <= most, `is longer than ${most}`);

const isObject = (given) => typeof given === "object" && given !== null && !Array.isArray(given);

function required(read) {
  const readGiven = (given) => {
    check(given !== undefined, "is missing");
    return read(given);
  };
  return Object.assign(readGiven, { required: true });
}

/** A text that UTF-8 and PostgreSQL can hold; `what` starts the problem. */
function text(given, what = "") {
  check(typeof given === "string", `${what}must be a string`);
  checkLength(given, MAX_TEXT);
  check(!/\p{Surrogate}/u.test(given), `${what}has half of a surrogate pair`);
  check(!given.includes("\0"), `${what}has a NUL character`);
  return given;
}

/** The ending of a name; a dot before it is taken off. */
const ending = (given) => text(given).replace(/^\./, "");

/** A whole number that an `int` column and a timer can hold. */
function integer(least) {
  return (given) => {
    const holds = Number.isInteger(given) && given >= least && given <= MAX_INT;
    check(holds, `must be a whole number from ${least} to ${MAX_INT}`);
    return given;
  };
}

function flag(given) {
  check(typeof given === "boolean", "must be true or false");
  return given;
}

function callback(given) {
  check(typeof given === "function", "must be a function");
  return given;
}

function signal(given) {
  const holds = typeof value(given, "aborted") === "boolean" && typeof value(given, "addEventListener") === "function";
  check(holds, "must be an AbortSignal");
  return given;
}

/** Seconds; an hour for zero and less. */
function ttl(given) {
  check(Number.isInteger(given) && given <= MAX_INT, `must be a whole number up to ${MAX_INT}`);
  return given > 0 ? given : DEFAULT_TTL_SECONDS;
}

function bytes(given) {
  check(typeof given === "number" && given >= 1, "must be a number, 1 or more");
  return given;
}

/** The name to save under: an empty one is the object's own. Nothing if it is not to be saved. */
function download(given) {
  if (given === false) return undefined;
  return given === true ? "" : text(given);
}

/** All of int64, as a bigint. */
function seed(given) {
  if (typeof given !== "bigint") {
    check(Number.isInteger(given), "must be a whole number or a bigint");
    check(Number.isSafeInteger(given), "a number past 2^53 is not exact: pass a bigint");
  }
  const exact = BigInt(given);
  const isUnsigned = exact >= 2n ** 63n && exact < 2n ** 64n;
  check(
    !isUnsigned,
    "is past 2^63 - 1, the largest a bigint column holds. ComfyUI's seeds are unsigned: pass \
BigInt.asIntN(64, seed), and keep the seed's own digits as text in the sidecar",
  );
  check(exact === BigInt.asIntN(64, exact), "does not fit in 64 bits");
  return exact;
}

/** A JSON number's text: as the host writes it, so it stands in the row. */
function cost(given) {
  check(Number.isFinite(given) && given >= 0, "must be a finite number, 0 or more");
  return JSON.stringify(given);
}

/** A JSON object's text. */
function sidecar(given) {
  check(isPlainObject(given), "must be an object of JSON values");
  checkJson(given, "sidecar", SIDECAR_DEPTH);
  const json = JSON.stringify(given);
  checkLength(json, MAX_TEXT);
  return json;
}

/** Refuses what JSON, or PostgreSQL's jsonb, can't hold; `path` is where it lies. */
function checkJson(given, path, depth) {
  if (given === null || typeof given === "boolean") return;
  if (typeof given === "number") return check(Number.isFinite(given), "is a number that JSON does not know");
  if (typeof given === "string") return text(given);
  const isArray = Array.isArray(given);
  check(isArray || isPlainObject(given), "is no JSON value");
  check(depth > 0, "is nested too deeply, or holds itself");
  for (const key of isArray ? given.keys() : Object.keys(given)) {
    if (!isArray) text(key, "a key ");
    const inner = isArray ? `${path}[${key}]` : `${path}.${key}`;
    at(inner, () => {
      const member = given[key];
      // As JSON.stringify: an object's member without a value is none.
      if (isArray || member !== undefined) checkJson(member, inner, depth - 1);
    });
  }
}

/** Neither a class of its own (a Map, a Date) nor something that writes its own JSON. */
function isPlainObject(given) {
  if (!isObject(given) || typeof value(given, "toJSON") === "function") return false;
  const prototype = Object.getPrototypeOf(given);
  // The prototype of a plain object, in any realm, has no prototype itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A name for a message or a `field`. */
const cut = (name) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 1)}…` : name);

/** What other libraries, and people, call an option or a field. */
const OTHER_NAMES = {
  url: ["supabaseUrl", "projectUrl", "baseUrl", "endpoint"],
  apiKey: [
    "key",
    "supabaseKey",
    "anonKey",
    "supabaseAnonKey",
    "publishableKey",
    "secretKey",
    "serviceKey",
    "serviceRoleKey",
  ],
  accessToken: ["token", "jwt", "getAccessToken", "getToken"],
  ownerUserId: ["owner", "ownerId", "owner_user_id", "userId", "user"],
  bucket: ["bucketName", "bucketId"],
  mimeType: ["contentType", "type", "mime"],
  image: ["file", "blob", "bytes", "data", "body"],
  imageId: ["id"],
  sidecar: ["metadata", "meta"],
};

/** The one of `known` that `name` was probably meant to be, for a message. */
function hint(name, known) {
  // Nobody's slip is so long, and what follows takes steps for every letter of it.
  if (name.length > MAX_NAME) return "";
  const same = known.find((candidate) => OTHER_NAMES[candidate]?.includes(name));
  if (same !== undefined) return `; did you mean ${same}?`;
  const [nearest] = known
    .map((candidate) => ({ candidate, far: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, far }) => far <= candidate.length / 2)
    .sort((one, other) => one.far - other.far);
  return nearest ? `; did you mean ${nearest.candidate}?` : "";
}

/** How many letters one has to add, drop or replace (Levenshtein). */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const letter of one) {
    const next = [row[0] + 1];
    for (let index = 0; index < other.length; index++) {
      const replaced = row[index] + (letter === other[index] ? 0 : 1);
      next.push(Math.min(replaced, row[index + 1] + 1, next[index] + 1));
    }
    row = next;
  }
  return row[other.length];
}
