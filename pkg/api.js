// What every loader exports; they differ only in where the .wasm comes from.
import { failed } from "./errors.js";
import { freeable, targetOf } from "./handle.js";
import { Outbox } from "./outbox.js";
import initWasm, { signedUrl as callSignedUrl, sync as callSync, Relay, Sink } from "./wasm/imagen_cloud.js";

const CALLS = ["sync", "syncMany", "signedUrl"];
const sinkOf = (target) => freeable("sink", [...CALLS, "signedUrls"], target);

/** What was given, whatever the caller does with the object or the buffer while the WebAssembly loads. */
function snapshot(request) {
  try {
    const given = Object.assign(Object.create(Object.getPrototypeOf(request)), request);
    const { image } = given;
    if (ArrayBuffer.isView(image)) {
      given.image = new Uint8Array(image.buffer, image.byteOffset, image.byteLength).slice();
    } else if (image instanceof ArrayBuffer) {
      given.image = image.slice(0);
    }
    return given;
  } catch {
    return request; // refused later, with its field's name
  }
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
        const message = `the WebAssembly could not be loaded: ${cause?.message ?? cause}`;
        throw failed("config", "load_failed", message, { retryable: true, cause });
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
  };
}
