// The entry with the outbox. Cloudflare Workers, which compile no WebAssembly at run time: the module is part of the deployment.
import { load } from "./api.js";
import { draw } from "./draw-later.js";
import * as build from "./wasm/imagen_cloud_outbox.js";
import module from "./wasm/imagen_cloud_outbox_bg.wasm";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { createOutbox, drainInBackground } from "./outbox.js";
export const { init, createSink, createSinkFromEnv, createRelay, sync, signedUrl, slugify } = load(
  "imagen-cloud/outbox",
  build,
  () => module,
  draw,
);
