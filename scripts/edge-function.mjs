// Makes supabase/functions/imagen ready to be deployed: the Worker's portable part, the package and what they use as one
// file, and the WebAssembly beside it.
import { copyFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const FOLDER = `${ROOT}supabase/functions/imagen/`;

await build({
  stdin: {
    contents: `export { createApi } from "./www/worker/src/api.ts"; export { init } from "imagen-cloud";`,
    resolveDir: ROOT,
    loader: "ts",
  },
  bundle: true,
  format: "esm",
  platform: "neutral",
  mainFields: ["module", "main"],
  // The loader for pages: it is told where the WebAssembly is, and so looks for no file.
  conditions: ["default"],
  external: ["node:*"],
  target: "es2022",
  legalComments: "none",
  logLevel: "error",
  banner: { js: "// Made by `make edge-function` of www/worker/src and pkg." },
  outfile: `${FOLDER}api.js`,
});
await copyFile(`${ROOT}pkg/wasm/imagen_cloud_bg.wasm`, `${FOLDER}imagen_cloud_bg.wasm`);
console.log("edge-function: supabase/functions/imagen is ready: npx supabase functions deploy imagen");
