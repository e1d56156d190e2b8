// What each feature adds to the size.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { functionsOf, SECTION, sectionsOf } from "../scripts/leb128.mjs";
import { brotli, bundle, first } from "./host.mjs";
import { figure } from "./support.mjs";

export const title = "features: what each adds to the size";
export const notes = [
  "The wasm with the outbox, optimized once more with its functions' names: each function counts for the feature of its module. The JavaScript is the browser bundle by its inputs.",
  "Brotli is what the file gets smaller by without that feature's functions. What is shared with another feature's code compresses away, so the parts are less than the whole.",
];

/** By the first pattern that a function's name matches; what the library is built of comes last. */
const FEATURES = {
  slugs: /imagen_cloud::(image::slug|api::slugify)\b/,
  "columns of the caller's own": /imagen_cloud::.*\bcolumns\b/,
  onEvent: /imagen_cloud::(wire::event|sync::call::Trace|sync::call::Told)\b/,
  thumbnails: /imagen_cloud::.*thumbnail/,
  "the outbox": /imagen_cloud::(outbox|api::outbox|host::store)\b/,
  "many images (syncMany)": /imagen_cloud::(sync::(many|batch|group)|api::many|race::all_of)\b/,
  "resumable uploads (TUS)": /imagen_cloud::(wire::tus|base64::encode)\b/,
  "lists and removals": /imagen_cloud::(sync::(list|remove)|wire::(list|remove)|api::gallery|api::read::gallery)\b/,
  "signed URLs":
    /imagen_cloud::(sync::sign|wire::(sign|link)|api::start_signed_urls?|api::Sink::signed_urls?)\b|signed_?url/i,
  "image headers": /imagen_cloud::image::header\b/,
  "options and their checks": /imagen_cloud::(config|api::read|api::connect|api::Sink::(new|from_env))\b/,
  "refusals, retries, errors": /imagen_cloud::(wire::(classify|retry|sqlstate)|error|api::error|text)\b/,
  "request, path, row, hash": /imagen_cloud::(image|json|base64|wire)\b|^sha2|uuid::|percent_encoding/,
  "the driver and the host": /imagen_cloud::/,
  "texts and tables": /^texts and tables$/,
  "Rust's library, allocator, wasm-bindgen": /^/,
};

/** JavaScript inputs, likewise. */
const FILES = {
  "the outbox": /pkg\/(outbox|store|copies|lock|renew|within)\.js|idb\.js/,
  "options and their checks": /read\.js/,
  "host and loader": /snippets\/|pkg\/[\w-]+\.js/,
  "wasm-bindgen's glue": /./,
};

export async function run() {
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-bench-"));
  try {
    const named = join(folder, "named.wasm");
    const root = fileURLToPath(new URL("../", import.meta.url));
    execFileSync("scripts/build.sh", {
      cwd: root,
      env: { ...process.env, NAMED_WASM: named },
      stdio: ["ignore", "ignore", "inherit"],
    });
    return [
      ...parts("wasm", FEATURES, functions(await readFile(named))),
      ...parts("JavaScript", FILES, await inputs()),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `pieces` are `{ name, code }`. */
function parts(kind, features, pieces) {
  const byFeature = Object.fromEntries(Object.keys(features).map((feature) => [feature, []]));
  for (const piece of pieces) {
    const [feature] = Object.entries(features).find(([, pattern]) => pattern.test(piece.name));
    byFeature[feature].push(piece);
  }
  const code = (some) => Buffer.concat(some.map((piece) => piece.code));
  const whole = brotli(code(pieces));
  return Object.entries(byFeature).flatMap(([feature, own]) => {
    const rest = pieces.filter((piece) => !own.includes(piece));
    const [raw, less] = [code(own).length, whole - brotli(code(rest))];
    return [
      figure({ what: `${kind}: ${feature}, raw`, unit: "kB", samples: [raw] }),
      figure({ what: `${kind}: ${feature}, brotli`, unit: "kB", samples: [less] }),
    ];
  });
}

/** The bundle's inputs, each minified by itself. */
async function inputs() {
  const files = [];
  const note = {
    name: "note",
    setup(build) {
      build.onLoad({ filter: /\.js$/ }, ({ path }) => {
        if (!files.includes(path)) files.push(path);
      });
    },
  };
  await bundle(`export * from "./pkg/outbox-browser.js"`, { plugins: [first, note] });
  const minified = async (name) => (await transform(await readFile(name, "utf8"), { minify: true })).code;
  return Promise.all(files.map(async (name) => ({ name, code: Buffer.from(await minified(name)) })));
}

/** A module's functions by name and body, and its data as one more. */
function functions(wasm) {
  // In front of each name stands its place, from scripts/order.mjs.
  const found = functionsOf(wasm).map(({ name, body }) => ({ name: name.replace(/^\d+ /, ""), code: body }));
  const data = sectionsOf(wasm).filter(({ id }) => id === SECTION.data);
  return [...found, ...data.map(({ body }) => ({ name: "texts and tables", code: body }))];
}
