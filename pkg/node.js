// Node, whose fetch does not read files. Deno and Bun come here too.
import { readFile } from "node:fs/promises";
import { load } from "./api.js";

export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { drainInBackground } from "./outbox.js";
export const { init, createSink, createSinkFromEnv, createRelay, createOutbox, sync, signedUrl } = load(() =>
  readFile(new URL("./wasm/imagen_cloud_bg.wasm", import.meta.url)),
);
