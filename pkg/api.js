// What every loader exports; they differ only in where the .wasm comes from.
import { failed } from "./errors.js";
import { Outbox } from "./outbox.js";
import initWasm, { signedUrl as callSignedUrl, sync as callSync, Sink } from "./wasm/imagen_cloud.js";

/** A sink that may be freed at any time, also twice. */
class Handle {
  #sink;

  constructor(sink) {
    this.#sink = sink;
  }

  async sync(request, options) {
    return this.#alive().sync(request, options);
  }

  async signedUrl(storagePath, ttlSeconds, options) {
    return this.#alive().signedUrl(storagePath, ttlSeconds, options);
  }

  free() {
    this.#sink?.free();
    this.#sink = undefined;
  }

  /** The WebAssembly's own sink. */
  static alive(handle) {
    return handle.#alive();
  }

  #alive() {
    if (this.#sink === undefined) throw failed("config", "invalid_config", "the sink has been freed");
    return this.#sink;
  }
}

/** What was given, whatever the caller does with it while the WebAssembly loads. */
function snapshot(request) {
  if (typeof request !== "object" || request === null) return request;
  let given = request;
  try {
    given = { ...request, sidecar: structuredClone(request.sidecar) };
    // A Blob cannot change, and a shared buffer is cloned by reference.
    if (ArrayBuffer.isView(given.image) || given.image instanceof ArrayBuffer) {
      given.image = structuredClone(given.image);
    }
  } catch {
    // What can't be read or cloned is refused later, with its field's name.
  }
  return given;
}

/**
 * The package's functions over a WebAssembly that `source` finds, read once and only when it is needed.
 * @param {() => unknown} source
 */
export function load(source) {
  let loading;
  const init = (own) => {
    loading ??= (async () => initWasm({ module_or_path: await (own ?? source()) }))().then(
      () => undefined,
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
      return new Handle(new Sink(options));
    },
    createSinkFromEnv: async (env) => {
      await init();
      const sink = Sink.fromEnv(env);
      return sink && new Handle(sink);
    },
    createOutbox: async (sink, options) => {
      if (!(sink instanceof Handle)) {
        throw failed("config", "invalid_config", "createOutbox: its first argument must be a sink", { field: "sink" });
      }
      return Outbox.open(Handle.alive(sink), options ?? undefined);
    },
    sync: async (sink, request, options) => {
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
