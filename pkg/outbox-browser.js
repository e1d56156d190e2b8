// The entry with the outbox. Pages and their workers, and bundlers: they all know this form of URL.
import { load } from "./api.js";
import { draw } from "./thumbnail.js";
import * as build from "./wasm/imagen_cloud_outbox.js";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { createOutbox, drainInBackground } from "./outbox.js";
export const { init, createSink, createSinkFromEnv, createRelay, sync, signedUrl, slugify } = load(
  "imagen-cloud/outbox",
  build,
  () => new URL("./wasm/imagen_cloud_outbox_bg.wasm", import.meta.url),
  // A service worker may load nothing later.
  draw,
);
