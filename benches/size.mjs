// What a page has to load.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotli, bundle, first } from "./host.mjs";
import { figure } from "./support.mjs";

export const title = "size";
export const notes = [
  "Bundled for a browser and minified by esbuild, each file in brotli 11 on its own. kB are 1000 bytes.",
  "Before is the package of the clone that the variable BEFORE names, built: 1495b47 is the commit before the library was described by serde and spoke to its host by web-sys. Without the variable its line is left out.",
  "JavaScript of ours is an entry's loader for pages with wasm-bindgen's glue; the wasm is a second file. What is imported when it is called for, such as the doctor, is left out, as bundlers leave it.",
];

/** An entry's loader, its module, and the most it should be, in bytes. */
const entries = {
  "imagen-cloud": ["browser.js", "imagen_cloud_bg.wasm", 69_000],
  "imagen-cloud/outbox": ["outbox-browser.js", "imagen_cloud_outbox_bg.wasm", 85_000],
};

/** By how much the largest entry may be larger than all of it was before. */
const MORE = 8_500;

const pkg = fileURLToPath(new URL("../pkg/", import.meta.url));

const peers = {
  "supabase-js": `export { createClient } from "@supabase/supabase-js"`,
  "storage-js + postgrest-js": `
    export { StorageClient } from "@supabase/storage-js";
    export { PostgrestClient } from "@supabase/postgrest-js"`,
  "tus-js-client": `export { Upload } from "tus-js-client"`,
};

export async function run() {
  const loaded = {};
  for (const [name, source] of Object.entries(peers)) loaded[name] = [await bundle(source)];
  const beside = (measure) => ({ name: "supabase-js", samples: [sum(loaded["supabase-js"], measure)] });
  const lines = (name, files, limit) => [
    figure({ what: `${name}, raw`, unit: "kB", samples: [sum(files, raw)] }),
    figure({ what: `${name}, brotli`, unit: "kB", samples: [sum(files, brotli)], limit }),
  ];
  const ours = [];
  for (const [entry, [loader, module, limit]] of Object.entries(entries)) {
    const wasm = await readFile(new URL(`../pkg/wasm/${module}`, import.meta.url));
    const glue = await bundle(`export * from "./pkg/${loader}"`, { plugins: [first] });
    ours.push(
      ...lines(`${entry}: wasm`, [wasm]),
      ...lines(`${entry}: JavaScript`, [glue]),
      ...lines(`${entry}: together`, [wasm, glue], limit),
      figure({
        what: `${entry}: together, brotli, beside`,
        unit: "kB",
        samples: [sum([wasm, glue], brotli)],
        beside: beside(brotli),
      }),
    );
  }
  const { BEFORE: clone } = process.env;
  if (clone) ours.push(await moreThanIn(resolve(clone)));
  return [...ours, ...Object.entries(loaded).flatMap(([name, files]) => lines(name, files))];
}

/** By how much all of it is larger than it was in a built clone, which had one entry for everything. */
async function moreThanIn(clone) {
  const measured = async (folder, loader, module) => {
    const glue = await bundle(`export * from ${JSON.stringify(join(folder, loader))}`, { plugins: [first] });
    return sum([glue, await readFile(join(folder, "wasm", module))], brotli);
  };
  const now = await measured(pkg, ...entries["imagen-cloud/outbox"]);
  const before = await measured(join(clone, "pkg"), "browser.js", "imagen_cloud_bg.wasm");
  const what = "imagen-cloud/outbox: together, brotli, more than before";
  return figure({ what, unit: "kB", samples: [now - before], limit: MORE });
}

const raw = (bytes) => bytes.length;
const sum = (files, measure) => files.reduce((total, file) => total + measure(file), 0);
