// Foreign values, read without an exception: a getter, a callback or a foreign object may throw at any time.

/** The longest text that is read: WebAssembly's memory never shrinks. An answer of 500 rows, 64 KiB each, is shorter. */
const LONGEST_TEXT = 2 ** 25;
/** As much of an error's message as anybody reads. */
const MESSAGE_LENGTH = 1000;

/** What `run` gives; `undefined` if it throws. */
export function attempt(run) {
  try {
    return run();
  } catch {
    return undefined;
  }
}

export const isObject = (value) => typeof value === "object" && value !== null;

/** What an error says, for a message. */
export function messageOf(thrown) {
  const message = attempt(() => thrown.message);
  const text = [message, thrown].find((text) => typeof text === "string") ?? "unknown error";
  return text.slice(0, MESSAGE_LENGTH);
}

/** Of nothing it is nothing: to throw and catch takes longer than most calls of a request. */
export const value = (target, name) => attempt(() => target?.[name]);

export const textOf = (found) => (typeof found === "string" && found.length <= LONGEST_TEXT ? found : undefined);

export const text = (target, name) => textOf(value(target, name));

export function number(target, name) {
  const found = value(target, name);
  return typeof found === "number" ? found : undefined;
}
