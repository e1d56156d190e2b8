// What every loader exports; they differ only in where the .wasm comes from.
import { failed } from "./errors.js";
import { freeable, targetOf } from "./handle.js";
import { Outbox } from "./outbox.js";
import initWasm, {
  signedUrl as callSignedUrl,
  slugify as callSlugify,
  sync as callSync,
  Relay,
  Sink,
} from "./wasm/imagen_cloud.js";

const CALLS = ["sync", "syncMany", "signedUrl"];
const sinkOf = (target) => freeable("sink", [...CALLS, "signedUrls", "prepare", "insert"], target);

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
function remedyOf(cause) {
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
  return "init(url), called first, says where imagen_cloud_bg.wasm is served";
}

/**
 * The package's functions over a WebAssembly that `source` finds, read once and only when it is needed.
 * @param {() => unknown} source
 */
export function load(source) {
  let loading;
  let loaded = false;
  const init = (own) => {
    loading ??= (async () => initWasm({ module_or_path: await (own ?? source()) }))().then(
      () => {
        loaded = true;
      },
      (cause) => {
        loading = undefined; // the next call tries again
        const retryable = typeof WebAssembly === "object"; // a browser may have it switched off
        const problem = retryable ? `${cause?.message ?? cause}. ${remedyOf(cause)}` : "this host has no WebAssembly";
        const message = `the WebAssembly could not be loaded: ${problem}`;
        throw failed("config", "load_failed", message, { retryable, cause });
      },
    );
    return loading;
  };
  return {
    init,
    createSink: async (options) => {
      await init();
      return sinkOf(new Sink(options));
    },
    createSinkFromEnv: async (env, options) => {
      await init();
      const sink = Sink.fromEnv(env, options);
      return sink && sinkOf(sink);
    },
    createRelay: async (options) => {
      await init();
      return freeable("relay", CALLS, new Relay(options));
    },
    createOutbox: async (target, options) => {
      const own = targetOf(target);
      if (own === undefined) {
        const message = "createOutbox: its first argument must be a sink or a relay";
        throw failed("config", "invalid_config", message, { field: "target" });
      }
      return Outbox.open(own, options ?? undefined);
    },
    sync: async (sink, request, options) => {
      if (loaded) return callSync(sink, request, options);
      const given = snapshot(request);
      await init();
      return callSync(sink, given, options);
    },
    signedUrl: async (sink, storagePath, ttlSeconds, options) => {
      await init();
      return callSignedUrl(sink, storagePath, ttlSeconds, options);
    },
    slugify: async (text) => {
      await init();
      return callSlugify(text);
    },
  };
}
