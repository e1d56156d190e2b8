// Cloudflare Workers, which compile no WebAssembly at run time: the module is part of the deployment.
import { load } from "./api.js";
import module from "./wasm/imagen_cloud_bg.wasm";

export { ImagenCloudError, isImagenCloudError } from "./api.js";
export const { init, createSink, createSinkFromEnv, sync, signedUrl } = load(() => module);
