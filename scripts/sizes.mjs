// Prints what a page has to load: the wasm module and its glue (minified, as a bundler serves it), raw and in brotli.
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { minifySync } from "vite";

const folder = new URL("../pkg/wasm/", import.meta.url);
const snippets = readdirSync(folder, { recursive: true }).filter((file) => /^snippets.*\.js$/.test(file));
const files = ["imagen_cloud_bg.wasm", "imagen_cloud.js", ...snippets.sort()];
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
let [rawSum, brotliSum] = [0, 0];
for (const file of files) {
  let bytes = readFileSync(new URL(file, folder));
  if (file.endsWith(".js")) bytes = Buffer.from(minifySync(file, bytes.toString(), { module: true }).code);
  const brotli = brotliCompressSync(bytes).length; // quality 11 is zlib's default
  rawSum += bytes.length;
  brotliSum += brotli;
  console.log(`build: ${basename(file).padEnd(22)} ${kb(bytes.length).padStart(9)}, brotli ${kb(brotli).padStart(8)}`);
}
console.log(`build: ${"together".padEnd(22)} ${kb(rawSum).padStart(9)}, brotli ${kb(brotliSum).padStart(8)}`);
