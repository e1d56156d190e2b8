// Cloudflare Workers, which compile no WebAssembly at run time: the module is part of the deployment.
import { load } from "./api.js";
import module from "./wasm/imagen_cloud_bg.wasm";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { drainInBackground } from "./outbox.js";
export const { init, createSink, createSinkFromEnv, createRelay, createOutbox, sync, signedUrl, slugify } = load(
  () => module,
);
