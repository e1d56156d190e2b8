// Node, whose fetch does not read files. Deno and Bun come here too.
import { readFile } from "node:fs/promises";
import { load } from "./api.js";

export { ImagenCloudError, isImagenCloudError } from "./api.js";
export const { init, createSink, createSinkFromEnv, sync, signedUrl } = load(() =>
  readFile(new URL("./wasm/imagen_cloud_bg.wasm", import.meta.url)),
);
