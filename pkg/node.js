// Node, whose fetch does not read files. Deno and Bun come here too.
import { readFile } from "node:fs/promises";
import { load } from "./api.js";
import { draw } from "./draw-later.js";
import * as build from "./wasm/imagen_cloud.js";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";

/** In a server's bundle (Next.js, Vite's ssr) the address may lead nowhere, and the bytes are part of the bundle. */
const inBundle = async () => Buffer.from((await import("./wasm/inline.js")).default, "base64");
const file = async () => readFile(new URL("./wasm/imagen_cloud_bg.wasm", import.meta.url));

export const { init, createSink, createSinkFromEnv, createRelay, sync, signedUrl, slugify } = load(
  "imagen-cloud",
  build,
  () => file().catch(inBundle),
  draw,
);
