// What JavaScript has to be asked for in JavaScript: a class of errors, of which callers see that it is one, callbacks that may be
// forgotten, and those of the caller, of which nothing that they throw or reject later may be reported as nobody's.
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
 * What opens a gate, and what forgets it. A gate's number is another's when nobody waits there any more, and a host may keep a
 * callback for longer than it was asked to: a promise that is never settled, a timer of which a test's fake clock knows nothing, a
 * signal that is a look-alike.
 */
function forgettable(open, gate) {
  let opens = open;
  return [
    (value, isThrown) => opens?.(gate, value, isThrown === true),
    () => {
      opens = undefined;
    },
  ];
}

/** Opens a gate with what becomes of whatever has a `then`, and says whether it was thrown. Returns what forgets that. */
export function follow(given, open, gate) {
  const [tell, stop] = forgettable(open, gate);
  (async () => given)().then(tell, (thrown) => tell(thrown, true));
  return stop;
}

/** Opens a gate after a while, where the host has timers: workerd has none while a Worker's modules are evaluated. */
export function after(ms, open, gate) {
  const [tell, stop] = forgettable(open, gate);
  const timer = attempt(() => setTimeout(tell, ms));
  return () => {
    stop();
    attempt(() => clearTimeout(timer));
  };
}

/** Opens a gate when the signal is aborted. */
export function whenAborted(signal, open, gate) {
  const [tell, stop] = forgettable(open, gate);
  attempt(() => signal.addEventListener("abort", tell));
  return () => {
    stop();
    attempt(() => signal.removeEventListener("abort", tell));
  };
}

/** Has the host forget what it was asked for. */
export const forget = (asked) => asked();

/** What became of one image of many: where it landed, or why not. */
export const outcome = (landed, error) => (error ? { ok: false, error } : { ok: true, ...landed });
