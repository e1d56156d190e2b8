// What the loaders of both entries export; they differ in which build it is, and in where its .wasm comes from.
import { failed } from "./errors.js";
import { freeable } from "./handle.js";

const CALLS = ["sync", "syncMany", "signedUrl", "list", "remove"];
const CALLS_OF_SINKS = [...CALLS, "signedUrls", "prepare", "insert"];

/** The same of both builds: whoever has loaded one of them need not load the other for it. */
let slugifyOfLoaded;

/** Says that a copy is nobody else's, so that it is not copied again. */
const COPIED = Symbol.for("imagen-cloud.copied");

/** What was given, whatever the caller does with the object or the buffer while the WebAssembly loads. */
function snapshot(request) {
  try {
    const given = Object.assign(Object.create(Object.getPrototypeOf(request)), request);
    const { image } = given;
    const buffer = ArrayBuffer.isView(image) ? image.buffer : image;
    // By its name, since a buffer may be shared, or come from another realm.
    if (["[object ArrayBuffer]", "[object SharedArrayBuffer]"].includes(Object.prototype.toString.call(buffer))) {
      given.image = new Uint8Array(buffer, image.byteOffset, image.byteLength).slice();
      given.image[COPIED] = true;
    }
    return given;
  } catch {
    return request; // refused later, with its field's name
  }
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
 * @param {() => unknown} source @param {typeof import("./thumbnail.js").draw} [draw] loaded for the first small picture, unless given
 */
export function load(entry, build, source, draw = async (...args) => (await import("./thumbnail.js")).draw(...args)) {
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
  return {
    init,
    createSink: async (options) => {
      await init();
      return sinkOf(new build.Sink(options, draw));
    },
    createSinkFromEnv: async (env, options) => {
      await init();
      const sink = build.Sink.fromEnv(env, options);
      return sink && sinkOf(sink);
    },
    createRelay: async (options) => {
      await init();
      return freeable({ entry, kind: "relay", names: CALLS }, new build.Relay(options, draw));
    },
    sync: async (sink, request, options) => {
      if (loaded) return build.sync(sink, request, options, draw);
      const given = snapshot(request);
      await init();
      return build.sync(sink, given, options, draw);
    },
    signedUrl: async (sink, storagePath, ttlSeconds, options) => {
      await init();
      return build.signedUrl(sink, storagePath, ttlSeconds, options);
    },
    slugify: async (text) => {
      if (!slugifyOfLoaded) await init();
      return slugifyOfLoaded(text);
    },
  };
}
