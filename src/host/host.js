// What the library asks of its host, as few and as plain calls as can be: short here, long in WebAssembly.
//
// Nothing here throws. An exception would cross the WebAssembly's frames and leave them half done, and a getter, a
// callback or a foreign object may throw at any time.
import { bodyOf, checkImage, ImageFault } from "./image.js";
import { attempt, isObject, messageOf, text, value } from "./safe.js";

/** The longest wait that setTimeout knows; a longer one would end at once. */
const LONGEST_MS = 2 ** 31 - 1;

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
    // Without a timer it goes on all the same: workerd has none while a Worker's modules are evaluated.
    const timer = attempt(() => setTimeout(settle, Math.min(ms, LONGEST_MS), tooLate));
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
 * of redirects and windows. Other hosts give the redirect as the answer, pages as one of which nothing can be read.
 */
const redirects = () => (isNode() ? { redirect: "error", window: null } : { redirect: "manual" });

const isNode = () => isServer() && !["Deno", "Bun", "document"].some((other) => isObject(value(globalThis, other)));

/** Node, or what passes for it: workerd may have a `process` too. */
const isServer = () => attempt(() => process.versions.node) !== undefined && !isWorkerd();

const isWorkerd = () => attempt(() => navigator.userAgent) === "Cloudflare-Workers";

/** No cache may answer instead of the server, or keep its answer: frameworks have caches of their own in `fetch`. */
const NO_STORE = { cache: "no-store" };

/** Asked when they are needed: it has Node load all of its fetch. workerd of 2024 knows no `cache`. */
let direct;
let uncached;

/** Gives an answer's text or what `failureOf` does; `{}` when it took too long. `headers` is JSON. */
export const exchange = (fetch, method, url, headers, payload, fresh, patienceMs) =>
  within(patienceMs, {}, (settle) => {
    direct ??= redirects();
    uncached ??= attempt(() => new Request("http://x", NO_STORE)) ? NO_STORE : {};
    const controller = attempt(() => new AbortController());
    let isOver = false;
    const send = async ({ body, type }) => {
      if (isOver) return undefined;
      const init = { ...direct, ...(fresh && uncached), method, signal: controller?.signal, body };
      init.headers = { ...JSON.parse(headers), ...(type && { "Content-Type": type }) };
      return readAnswer(await (fetch ? callersFetch(fetch, url, init) : globalThis.fetch(url, init)));
    };
    // A caller's fetch in a page or in workerd ends in the host's own, which knows its Blobs; in Node it may be anybody's.
    exchanged(payload, fetch !== undefined && isServer(), send).then((answer) => {
      isOver = true;
      settle(answer);
    });
    return () => {
      if (!isOver) controller?.abort();
      isOver = true;
    };
  });

/** What callers gave as `fetch` and what then refused `cache`. */
const refusesCache = new WeakSet();

async function callersFetch(fetch, url, { cache, ...init }) {
  if (cache === undefined || refusesCache.has(fetch)) return fetch(url, init);
  try {
    return await fetch(url, { ...init, cache });
  } catch (thrown) {
    if (isControlFlow(thrown) || !/\bcache\b/i.test(messageOf(thrown))) throw thrown;
    refusesCache.add(fetch);
    return fetch(url, init);
  }
}

/**
 * What came of sending a payload. Its image is looked at before and after: in Firefox a file that was replaced meanwhile would
 * be sent as it is now, and one that became shorter would never have been sent.
 */
async function exchanged(payload, bytesOnly, send) {
  try {
    await checkImage(payload);
    const body = await bodyOf(payload, bytesOnly);
    try {
      return await send(body);
    } finally {
      await checkImage(payload);
    }
  } catch (thrown) {
    return failureOf(thrown);
  }
}

class Redirected extends Error {}

/** What Node, Bun, Deno and node-fetch say of a redirect that they are told not to follow. */
const REDIRECT_WORDS = /unexpected ?redirect|redirect mode is set to error|encountered redirect/i;

/** `{ problem, thrown }`, with a `kind` where it is not the network that failed. */
function failureOf(thrown) {
  const isA = (kind) => attempt(() => thrown instanceof kind) === true;
  if (isA(ImageFault)) return { kind: "image", problem: thrown.message, thrown: thrown.cause };
  if (isControlFlow(thrown)) return { kind: "called off", problem: "", thrown };
  const problem = reasonOf(thrown);
  if (isA(Redirected) || REDIRECT_WORDS.test(problem)) return { kind: "redirect", problem };
  return { problem, thrown };
}

/**
 * Whether somebody threw to have its framework do something else, and not because anything failed: Next.js while it
 * prerenders, and React. It marks what it throws with a digest, or as a postponement.
 */
export const isControlFlow = (thrown) =>
  isObject(thrown) && (typeof value(thrown, "digest") === "string" || value(thrown, "$$typeof") !== undefined);

/** fetch tells nothing of a request's bytes; XMLHttpRequest does, where there is one: not in service workers and servers. */
export const seesProgress = () => typeof XMLHttpRequest === "function";

/** What lies between two events of one request, as in the standard of XMLHttpRequest. WebKit has one for every 8 KiB. */
const PACE_MS = 50;

/**
 * The same by XMLHttpRequest, which tells `onSent` of the bytes. It is cut after `idleMs` without a sign of life. Of bytes
 * that the system has taken, and may still be sending, nothing is seen: once it has all of them, they get `lineMs` more.
 */
export const exchangeSeen = (method, url, headers, payload, idleMs, lineMs, onSent) =>
  task((settle) => {
    const request = new XMLHttpRequest();
    let timer;
    let isOver = false;
    let toldMs = Number.NEGATIVE_INFINITY;
    const waitOn = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(() => settle({}), Math.min(ms, LONGEST_MS));
    };
    request.upload.onprogress = ({ loaded, total }) => {
      waitOn(loaded < total ? idleMs : idleMs + lineMs);
      const nowMs = performance.now();
      if (loaded < total && nowMs - toldMs < PACE_MS) return;
      toldMs = nowMs;
      onSent(loaded);
    };
    const send = ({ body, type }) =>
      new Promise((resolve, reject) => {
        if (isOver) return resolve();
        // Read at once: stopping the task empties the request.
        request.onload = () => {
          const answer = answerText(request.status, headersOf(request), request.responseText);
          const isDirect = isSameAddress(request.responseURL, url);
          if (isDirect) resolve(answer);
          else reject(new Redirected("a redirect was followed"));
        };
        request.onerror = () => reject(new TypeError("the connection failed or broke"));
        request.open(method, url);
        for (const [name, value] of Object.entries(JSON.parse(headers))) request.setRequestHeader(name, value);
        if (type) request.setRequestHeader("Content-Type", type);
        request.send(body);
      });
    waitOn(idleMs);
    exchanged(payload, false, send).then(settle);
    return () => {
      isOver = true;
      clearTimeout(timer);
      request.abort();
    };
  });

/**
 * XMLHttpRequest can't be kept from following a redirect, but says where the answer came from. Browsers write one address in
 * several ways: escapes are decoded before they are compared. One that says nothing has followed nothing.
 */
function isSameAddress(answered, asked) {
  const parts = (address) => {
    const { origin, pathname, search } = new URL(address);
    return [origin, pathname, search].map((part) => attempt(() => decodeURIComponent(part)) ?? part).join("\n");
  };
  return !answered || attempt(() => parts(answered) === parts(asked)) === true;
}

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
  if (response.type === "opaqueredirect" || response.redirected === true) throw new Redirected("it is a redirect");
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
    isWorkerd() ||
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

/** What became of one image of many: where it landed, or why not. */
export const outcome = (landed, error) => (error ? { ok: false, error } : { ok: true, ...landed });
