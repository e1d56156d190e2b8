// Takes what callers pass, each field once: a getter may throw, or give something else the next time. What only JavaScript sees
// of a value is checked here, all else by serde on the other side.
import { attempt, messageOf, value } from "../host/safe.js";

/** What a request has that stays JSON, and how deep it may be nested; a cycle is deeper. */
const OBJECTS = ["sidecar", "columns"];
const DEPTH = 100;
/** How long a list and a text may be: the WebAssembly's memory never shrinks, and running out of it is the end of it. */
const MAX_MEMBERS = 100_000;
const MAX_TEXT = 2 ** 22;
/** How much of a name that a caller made up is told back. */
const MAX_NAME = 64;

/**
 * The values of these names, behind a number whose bits say which of them are given, so that the others need not be asked for; or
 * the first `Fault`. `what` is the object's own name.
 */
export const take = (given, what, names) =>
  faultOr(() =>
    at(what, () => {
      check(isObject(given), "must be an object");
      check(Object.prototype.toString.call(given) !== "[object AbortSignal]", "must be an object, { signal }");
      const known = names ? names.split(",") : [];
      const unknown = Object.keys(given).find((name) => !known.includes(name));
      if (unknown !== undefined) throw new Fault(unknown);
      const objects = what === "request" ? OBJECTS : [];
      let bits = 0;
      const values = known.map((name, index) => {
        const value = at(name, () => taken(name, given[name] ?? undefined, objects));
        if (value !== undefined) bits += 2 ** index;
        return value;
      });
      return [bits, ...values];
    }),
  );

/** The members of an array, each read once; or a `Fault`. */
export const list = (given, name) =>
  faultOr(() =>
    at(name, () => {
      check(Array.isArray(given), "must be an array");
      checkLength(given, MAX_MEMBERS);
      return Array.from({ length: given.length }, (_, index) => given[index]);
    }),
  );

/** What is wrong with a text, if this is one. */
export const problemOf = (given) =>
  typeof given === "string" ? faultOr(() => void at("", () => text(given)))?.problem : undefined;

function taken(name, field, objects) {
  if (objects.includes(name) && field !== undefined) return object(field, name);
  return typeof field === "string" ? text(field) : field;
}

/** What `run` gives, or the `Fault` that it throws. */
function faultOr(run) {
  try {
    return run();
  } catch (fault) {
    return fault;
  }
}

/** A problem with one field; without one, nobody knows the field. */
class Fault {
  constructor(field, problem) {
    this.field = cut(field);
    this.problem = problem;
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

/** A text that UTF-8 and PostgreSQL can hold; `what` starts the problem. */
function text(given, what = "") {
  checkLength(given, MAX_TEXT);
  check(!/\p{Surrogate}/u.test(given), `${what}has half of a surrogate pair`);
  check(!given.includes("\0"), `${what}has a NUL character`);
  return given;
}

/** A JSON object's text. */
function object(given, name) {
  check(isPlainObject(given), "must be an object of JSON values");
  checkJson(given, name, DEPTH);
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

// ---- what callers are given: a page of rows, out of the answer's own text, so that a sidecar may be of any depth --------

/**
 * The images of a page's text, or `undefined` if it is none. `links` are of its rows, and then of their small pictures, if those
 * are wanted; so many rows are the page's.
 */
export const imagesOf = (text, count, links, columns) =>
  attempt(() => {
    const page = JSON.parse(text);
    if (!Array.isArray(page)) return page.images.map(exact);
    const own = columns ? columns.split(",") : [];
    return page.slice(0, count).map((row, index) => {
      const image = exact(imageOf(row, own));
      if (!links) return image;
      const small = links.length > count && { thumbnailUrl: links[count + index] ?? null };
      return { ...image, signedUrl: links[index] ?? null, ...small };
    });
  });

function imageOf(row, own) {
  const entries = Object.entries(row);
  const ours = entries.filter(([column]) => !own.includes(column)).map(([column, value]) => [fieldOf(column), value]);
  const columns = entries.filter(([column]) => own.includes(column));
  return Object.fromEntries([...ours, ["columns", Object.fromEntries(columns)]]);
}

const fieldOf = (column) =>
  column === "id" ? "imageId" : column.replaceAll(/_(.)/g, (_, letter) => letter.toUpperCase());

/** JSON has no int64: a seed comes as text. */
const exact = (image) => ({
  ...image,
  columns: image.columns ?? {},
  seed: typeof image.seed === "string" ? BigInt(image.seed) : (image.seed ?? null),
});
