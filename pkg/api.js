// What every loader exports; they differ only in where the .wasm comes from.
import initWasm, { signedUrl as callSignedUrl, sync as callSync, Sink } from "./wasm/imagen_cloud.js";

/** @param {unknown} error */
export const isImagenCloudError = (error) => error instanceof Error && error.name === "ImagenCloudError";

/** Rejections are made by the WebAssembly, also by another copy of it: they are known by their name. */
export class ImagenCloudError extends Error {
  static [Symbol.hasInstance](error) {
    return isImagenCloudError(error);
  }
}

function loadFailed(cause) {
  const message = `the WebAssembly could not be loaded: ${cause?.message ?? cause}`;
  const details = { name: "ImagenCloudError", stage: "config", code: "load_failed", retryable: true, attempts: 0 };
  return Object.assign(new Error(message, { cause }), details);
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
        throw loadFailed(cause);
      },
    );
    return loading;
  };
  return {
    init,
    createSink: async (options) => {
      await init();
      return new Sink(options);
    },
    createSinkFromEnv: async (env) => {
      await init();
      return Sink.fromEnv(env);
    },
    sync: async (sink, request, options) => {
      await init();
      return callSync(sink, request, options);
    },
    signedUrl: async (sink, storagePath, ttlSeconds, options) => {
      await init();
      return callSignedUrl(sink, storagePath, ttlSeconds, options);
    },
  };
}
