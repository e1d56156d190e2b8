// Pages and their workers, and bundlers: they all know this form of URL.
import { load } from "./api.js";
import { draw } from "./draw-later.js";
import * as build from "./wasm/imagen_cloud.js";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export const { init, createSink, createSinkFromEnv, createRelay, sync, signedUrl, slugify } = load(
  "imagen-cloud",
  build,
  () => new URL("./wasm/imagen_cloud_bg.wasm", import.meta.url),
  draw,
);
