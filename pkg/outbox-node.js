// The entry with the outbox. Node, whose fetch does not read files. Deno and Bun come here too.
import { readFile } from "node:fs/promises";
import { load } from "./api.js";
import { draw } from "./draw-later.js";
import * as build from "./wasm/imagen_cloud_outbox.js";

export { checkProject } from "./doctor.js";
export { ImagenCloudError, isImagenCloudError } from "./errors.js";
export { createOutbox, drainInBackground } from "./outbox.js";

/** In a server's bundle (Next.js, Vite's ssr) the address may lead nowhere, and the bytes are part of the bundle. */
const inBundle = async () => Buffer.from((await import("./wasm/inline_outbox.js")).default, "base64");
const file = async () => readFile(new URL("./wasm/imagen_cloud_outbox_bg.wasm", import.meta.url));

export const { init, createSink, createSinkFromEnv, createRelay, sync, signedUrl, slugify } = load(
  "imagen-cloud/outbox",
  build,
  () => file().catch(inBundle),
  draw,
);
