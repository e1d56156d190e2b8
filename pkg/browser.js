// Pages and their workers, and bundlers: they all know this form of URL.
import { load } from "./api.js";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { drainInBackground } from "./outbox.js";
export const { init, createSink, createSinkFromEnv, createRelay, createOutbox, sync, signedUrl, slugify } = load(
  () => new URL("./wasm/imagen_cloud_bg.wasm", import.meta.url),
);
