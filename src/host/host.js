// What JavaScript has to be asked for in JavaScript: a class of errors, of which callers see that it is one, promises that need
// not be waited for to the end, and callbacks, of which nothing that they throw or reject later may be reported as nobody's.
// Nothing here throws.
import { attempt } from "./safe.js";

const NAME = "ImagenCloudError";
/** What is told of an error where only data can go: no `cause`, which may be anything, and no stack. */
const TOLD = [
  ...["name", "message", "stage", "code", "field", "status", "serverCode", "retryable", "retryAfterMs", "attempts"],
  ...["storagePath", "imageId"],
];

/** By its name, since it may be another copy's, another realm's, or come from a worker as plain data. */
export const isImagenCloudError = (error) =>
  attempt(() => error.name === NAME && [error.stage, error.code].every((text) => typeof text === "string")) === true;

/** Every error of the package, whichever side made it. */
export class ImagenCloudError extends Error {
  static [Symbol.hasInstance](error) {
    return isImagenCloudError(error) && Object.prototype.toString.call(error) === "[object Error]";
  }

  toJSON() {
    return Object.fromEntries(TOLD.map((name) => [name, this[name]]).filter(([, value]) => value !== undefined));
  }
}

/** One of them. */
export function failure({ message, ...details }, cause) {
  const error = new ImagenCloudError(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { name: NAME }, details);
}

/** Calls one of the caller's callbacks. What it throws, or rejects later, is its own affair. */
export function tell(callback, ...args) {
  if (callback !== undefined) attempt(() => ignore(callback(...args)));
}

/** Whatever has a `then` may be rejected later, and would be reported as nobody's. */
function ignore(given) {
  if (typeof given?.then === "function") given.then(undefined, () => {});
}

/**
 * Tells `done` what becomes of whatever has a `then`, and whether it was thrown. What is returned forgets `done`: a promise that
 * is never settled would keep it.
 */
export function follow(given, done) {
  let told = done;
  (async () => given)().then(
    (value) => told?.(value, false),
    (thrown) => told?.(thrown, true),
  );
  return () => {
    told = undefined;
  };
}

/** What became of one image of many: where it landed, or why not. */
export const outcome = (landed, error) => (error ? { ok: false, error } : { ok: true, ...landed });
