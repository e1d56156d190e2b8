// What the library asks of its host, as few and as plain calls as can be: short here, long in WebAssembly.
//
// Nothing here throws. An exception would cross the WebAssembly's frames and leave them half done, and a getter, a
// callback or a foreign object may throw at any time.

/** The longest wait that setTimeout knows; a longer one would end at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The longest text that is read: WebAssembly's memory never shrinks. An answer of 500 rows, 64 KiB each, is shorter. */
const LONGEST_TEXT = 2 ** 25;
/** As much of an error's message as anybody reads. */
const MESSAGE_LENGTH = 1000;

/** What `run` gives; `undefined` if it throws. */
function attempt(run) {
  try {
    return run();
  } catch {
    return undefined;
  }
}

const isObject = (value) => typeof value === "object" && value !== null;

/** What an error says, for a message. */
export function messageOf(thrown) {
  const message = attempt(() => thrown.message);
  const text = [message, thrown].find((text) => typeof text === "string") ?? "unknown error";
  return text.slice(0, MESSAGE_LENGTH);
}

export const value = (target, name) => attempt(() => target[name]);

export function text(target, name) {
  const found = value(target, name);
  return typeof found === "string" && found.length <= LONGEST_TEXT ? found : undefined;
}

export function number(target, name) {
  const found = value(target, name);
  return typeof found === "number" ? found : undefined;
}

/**
 * Something that goes on until it settles or is stopped: `start` is given the one and returns the other.
 * Stopping settles too, since a promise that never does keeps its callbacks, and with them memory, for good.
 */
function task(start) {
  let settle;
  const promise = new Promise((resolve) => {
    settle = resolve;
  });
  const end = attempt(() => start(settle));
  const stop = () => {
    attempt(() => end?.());
    settle();
  };
  return { promise, stop };
}

export const sleep = (ms) =>
  task((settle) => {
    const timer = setTimeout(settle, Math.min(ms, LONGEST_MS));
    return () => clearTimeout(timer);
  });

export const aborted = (signal) =>
  task((settle) => {
    const listener = () => settle();
    signal.addEventListener("abort", listener);
    return () => signal.removeEventListener("abort", listener);
  });

/** A task that settles with `tooLate` after a while. */
const within = (ms, tooLate, start) =>
  task((settle) => {
    const timer = setTimeout(settle, Math.min(ms, LONGEST_MS), tooLate);
    const end = start(settle);
    return () => {
      clearTimeout(timer);
      end?.();
    };
  });

/** Gives `{ token }` or `{ problem, thrown }`. */
export const askForToken = (ask, patienceMs) =>
  within(patienceMs, { problem: "gave no answer in time" }, (settle) => {
    (async () => ask())().then(
      (token) => settle({ token }),
      (thrown) => settle({ problem: "failed", thrown }),
    );
  });

/**
 * No redirect is followed, since the keys would go along. Node then also keeps no copy of a body, which it does for the sake
 * of redirects and windows. workerd knows no such error, and gives the redirect as the answer.
 */
const unfollowed = { redirect: "error", window: null };
/** Asked when it is needed: it has Node load all of its fetch. */
let direct;

/** Gives an answer's text, `{ problem, thrown }`, or `{}` when it took too long. `headers` is JSON. */
export const exchange = (fetch, method, url, headers, body, patienceMs) =>
  within(patienceMs, {}, (settle) => {
    direct ??= attempt(() => new Request("http://x", unfollowed)) ? unfollowed : { redirect: "manual" };
    const controller = attempt(() => new AbortController());
    const init = { ...direct, method, signal: controller?.signal, headers: JSON.parse(headers), body };
    let isOver = false;
    const send = async () => {
      try {
        settle(await readAnswer(await (fetch ? fetch(url, init) : globalThis.fetch(url, init))));
      } catch (thrown) {
        settle({ problem: reasonOf(thrown), thrown });
      }
      isOver = true;
    };
    send();
    return () => isOver || controller?.abort();
  });

/** fetch tells nothing of a request's bytes; XMLHttpRequest does, where there is one: not in service workers and servers. */
export const seesProgress = () => typeof XMLHttpRequest === "function";

/**
 * The same by XMLHttpRequest, which tells `onSent` of the bytes. It is cut after `idleMs` without a sign of life. Of bytes
 * that the system has taken, and may still be sending, nothing is seen: once it has all of them, they get `lineMs` more.
 */
export const exchangeSeen = (method, url, headers, body, idleMs, lineMs, onSent) =>
  task((settle) => {
    const request = new XMLHttpRequest();
    let timer;
    const stop = () => {
      clearTimeout(timer);
      request.abort();
    };
    const waitOn = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => settle({}), Math.min(ms, LONGEST_MS));
    };
    // Read at once: stopping the task empties the request.
    const answer = () => answerText(request.status, headersOf(request), request.responseText);
    const lost = (thrown) => settle({ problem: messageOf(thrown), thrown });
    request.upload.onprogress = ({ loaded, total }) => {
      waitOn(loaded < total ? idleMs : idleMs + lineMs);
      onSent(loaded);
    };
    request.onload = () => settle(answer());
    request.onerror = () => lost(new TypeError("the connection failed or broke"));
    try {
      request.open(method, url);
      for (const [name, value] of Object.entries(JSON.parse(headers))) request.setRequestHeader(name, value);
      waitOn(idleMs);
      request.send(body);
    } catch (thrown) {
      lost(thrown);
    }
    return stop;
  });

/** Those that may be read here; asking for another one by its name has browsers complain on the console. */
const headersOf = (request) =>
  new Headers(
    request
      .getAllResponseHeaders()
      .trim()
      .split(/[\r\n]+/)
      .filter(Boolean)
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );

async function readAnswer(response) {
  const { status, headers } = response;
  if (typeof status !== "number") throw new TypeError("fetch gave no Response");
  return answerText(status, headers, await response.text());
}

/** `READ_HEADERS` of the Rust side. */
const READ_HEADERS = ["content-type", "retry-after", "date", "location", "upload-offset"];

/** An answer as one text: its status, a line each for the headers that are read, and its body. */
function answerText(status, headers, body) {
  const header = (name) => {
    const found = text({ found: attempt(() => headers.get(name)) }, "found") ?? "";
    return found.includes("\n") ? "" : found;
  };
  return [status, ...READ_HEADERS.map(header), text({ body }, "body")].join("\n");
}

/** What a failed `fetch` says; Node hides the reason in the cause. */
function reasonOf(thrown) {
  const cause = value(thrown, "cause");
  return isObject(cause) ? `${messageOf(thrown)} (${messageOf(cause)})` : messageOf(thrown);
}

const NO_IMAGE = "must be a Blob, an ArrayBuffer or a view of one";

/**
 * An image's bytes: a Blob as it is; a copy of a buffer or view, since a caller may reuse its own while a retry waits.
 * A text is the problem with what was given.
 */
export function takeImage(image) {
  try {
    if (isBuffer(image)) return copied(image, new Uint8Array(image));
    if (ArrayBuffer.isView(image)) {
      return copied(image.buffer, new Uint8Array(image.buffer, image.byteOffset, image.byteLength));
    }
    return isBlob(image) ? image : NO_IMAGE;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

const isBuffer = (image) =>
  image instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && image instanceof SharedArrayBuffer);

/** By its methods, since a Blob may come from another realm or a polyfill. */
const isBlob = (image) =>
  isObject(image) &&
  typeof image.slice === "function" &&
  typeof image.arrayBuffer === "function" &&
  typeof image.size === "number";

/** From here on a copy is a Blob, whose pieces hosts send without copying them once more. */
const LARGE_BYTES = 6 * 1024 * 1024;

function copied(buffer, view) {
  if (view.length === 0 && buffer.detached) return "its buffer is detached";
  return view.length < LARGE_BYTES ? view.slice() : new Blob([view]);
}

export const size = (image) => (image instanceof Uint8Array ? image.length : (number(image, "size") ?? 0));

/** A body of two parts. The image's bytes stay where they are. */
export const form = (request, image) =>
  attempt(() => {
    const parts = new FormData();
    parts.append("request", request);
    parts.append("image", new Blob([image]), "image");
    return parts;
  });

export const slice = (image, from, to) =>
  attempt(() => (image instanceof Uint8Array ? image.subarray(from, to) : image.slice(from, to)));

/** A piece's bytes: of a copy at once, of a Blob as a promise. */
export const readPiece = (image, from, to) =>
  image instanceof Uint8Array ? image.subarray(from, to) : readBlob(image, from, to);

async function readBlob(blob, from, to) {
  // A look-alike of a Blob may give more than it was asked for.
  return new Uint8Array(await blob.slice(from, to).arrayBuffer()).subarray(0, to - from);
}

export const wholeImage = async (image) => (image instanceof Uint8Array ? image.buffer : image.arrayBuffer());

/** Many at once: asking for a few takes as long. */
let pool = [];

export const randomBytes = (count) =>
  attempt(() => {
    if (pool.length < count) pool = crypto.getRandomValues(new Uint8Array(1024));
    const bytes = pool.subarray(0, count);
    pool = pool.subarray(count);
    return bytes;
  });

/**
 * Whether others than the key's owner can look into this place: a page, or one of its workers.
 * workerd's global is a ServiceWorkerGlobalScope too, and Deno's and Bun's workers have a WorkerGlobalScope.
 */
export function inBrowser() {
  const host = globalThis;
  const onServer =
    attempt(() => host.navigator.userAgent) === "Cloudflare-Workers" ||
    attempt(() => host.process.versions.node) ||
    attempt(() => host.Deno.version) ||
    attempt(() => host.Bun.version);
  return !onServer && (isObject(value(host, "document")) || typeof value(host, "WorkerGlobalScope") === "function");
}

export const json = (text) => attempt(() => JSON.parse(text));

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

/** One of them, from JSON. */
export function failure(json, cause) {
  const { message, ...details } = JSON.parse(json);
  const error = new ImagenCloudError(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { name: NAME }, details);
}

/** Calls one of the caller's callbacks. What it throws, or rejects later, is its own affair. */
export function tell(callback, ...args) {
  if (callback !== undefined) attempt(() => callback(...args)?.catch?.(() => {}));
}

/** What became of one image of many: JSON of where it landed, or why not. */
export const outcome = (landed, error) => (error ? { ok: false, error } : { ok: true, ...JSON.parse(landed) });

/** Calls a method of the outbox's store. */
export const ask = async (store, method, args) => store[method](...args);
