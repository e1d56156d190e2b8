// What the loaders of both entries export; they differ in which build it is, and in where its .wasm comes from.
import { failed } from "./errors.js";
import { freeable } from "./handle.js";

const CALLS = ["sync", "syncMany", "signedUrl", "list", "remove"];
const CALLS_OF_SINKS = [...CALLS, "signedUrls", "prepare", "insert"];

/** The same of both builds: whoever has loaded one of them need not load the other for it. */
let slugifyOfLoaded;

/** Says that a copy is nobody else's, so that it is not copied again. */
const COPIED = Symbol.for("imagen-cloud.copied");

/** So many values are copied of what was given. A sidecar that is not too long has fewer; a list may say that it is endless. */
const MAX_VALUES = 2 ** 17;

/** A request as it was given, whatever the caller does with it, what it holds, or its buffer while the WebAssembly loads. */
function snapshot(request) {
  try {
    const { image, ...rest } = request;
    const given = Object.assign(Object.create(Object.getPrototypeOf(request)), copied(rest));
    return image === undefined ? given : Object.assign(given, { image: copyOfBytes(image) });
  } catch {
    return request; // refused later, with its field's name
  }
}

/** The same of options. Those of a class of its own may read what only they can. */
function optionsOf(given) {
  try {
    return isPlain(given) ? copied(given) : given;
  } catch {
    return given; // as above
  }
}

/** Of plain objects and arrays all the way down; anything else is what it is. Throws for more values than it may hold. */
function copied(value, room = { values: MAX_VALUES }) {
  const isList = Array.isArray(value);
  if (!isList && !isPlain(value)) return value;
  const members = isList ? value : Object.entries(value);
  room.values -= members.length;
  if (!(room.values >= 0)) throw new RangeError("too many values");
  if (isList) return members.map((each) => copied(each, room));
  return Object.fromEntries(members.map(([name, each]) => [name, copied(each, room)]));
}

function isPlain(value) {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  // That of a plain object, in any realm, has no prototype itself.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Only of a buffer: a Blob stays what it is. */
function copyOfBytes(image) {
  const buffer = ArrayBuffer.isView(image) ? image.buffer : image;
  // By its name, since a buffer may be shared, or come from another realm.
  if (!["[object ArrayBuffer]", "[object SharedArrayBuffer]"].includes(Object.prototype.toString.call(buffer)))
    return image;
  return Object.assign(new Uint8Array(buffer, image.byteOffset, image.byteLength).slice(), { [COPIED]: true });
}

/** What the host's own words, and where this file lies by now, say of the reason. */
function remedyOf(cause, entry) {
  const says = String(cause?.message ?? cause);
  if (/content security policy|unsafe-eval/i.test(says)) {
    return "The page's Content-Security-Policy must allow it: script-src 'self' 'wasm-unsafe-eval'";
  }
  if (import.meta.url?.includes("/.vite/")) {
    return 'In vite.config: optimizeDeps: { exclude: ["imagen-cloud"] }';
  }
  if (globalThis.process?.env?.NEXT_RUNTIME) {
    return 'In next.config: serverExternalPackages: ["imagen-cloud"]';
  }
  return `init(url), called first, says where the .wasm of ${entry} is served`;
}

const notLoaded = (problem, details) =>
  failed("config", "load_failed", `the WebAssembly could not be loaded: ${problem}`, details);

/**
 * An entry's functions over its WebAssembly, which `source` finds: read once and only when it is needed.
 * @param {import("./index.d.ts").Entry} entry @param {typeof import("./wasm/imagen_cloud.js")} build wasm-bindgen's glue
 * @param {() => unknown} source @param {typeof import("./thumbnail.js").draw} draw
 */
export function load(entry, build, source, draw) {
  const sinkOf = (own) => freeable({ entry, kind: "sink", names: CALLS_OF_SINKS }, own);

  let loading;
  let loaded = false;

  // Asked first: to read a host's Response is enough to load its fetch, and Node's dies without WebAssembly.
  const instantiate = async (own) => {
    if (typeof WebAssembly !== "object") throw notLoaded("this host has no WebAssembly", { retryable: false });
    try {
      await build.default({ module_or_path: await (own ?? source()) });
    } catch (cause) {
      throw notLoaded(`${cause?.message ?? cause}. ${remedyOf(cause, entry)}`, { retryable: true, cause });
    }
  };
  const init = (own) => {
    loading ??= instantiate(own).then(
      () => {
        loaded = true;
        slugifyOfLoaded ??= build.slugify;
      },
      (error) => {
        loading = undefined; // the next call tries again
        throw error;
      },
    );
    return loading;
  };
  /** A function without a handle: what it is given is copied only where it waits, while the caller may change it. */
  const free =
    (call, copiers) =>
    async (...given) => {
      if (loaded) return call(...given);
      const copies = copiers.map((copy, index) => copy(given[index]));
      await init();
      return call(...copies);
    };
  return {
    init,
    createSink: async (options) => {
      const given = optionsOf(options);
      await init();
      return sinkOf(new build.Sink(given, draw));
    },
    createSinkFromEnv: async (env, options) => {
      await init();
      const sink = build.Sink.fromEnv(env, options);
      return sink && sinkOf(sink);
    },
    createRelay: async (options) => {
      const given = optionsOf(options);
      await init();
      return freeable({ entry, kind: "relay", names: CALLS }, new build.Relay(given, draw));
    },
    sync: free((sink, request, options) => build.sync(sink, request, options, draw), [optionsOf, snapshot, optionsOf]),
    signedUrl: free((...given) => build.signedUrl(...given), [optionsOf, optionsOf, optionsOf, optionsOf]),
    slugify: async (text) => {
      if (!slugifyOfLoaded) await init();
      return slugifyOfLoaded(text);
    },
  };
}
