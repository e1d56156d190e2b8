// Prints what a page has to load of each of the package's entries, part by part: the module, its glue and the package's own
// JavaScript, minified as a bundler serves it, raw and in brotli. Fails where a part is larger than size-budget.json allows, in
// bytes of brotli.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { buildSync } from "esbuild";
import { minifySync } from "vite";

const PKG = fileURLToPath(new URL("../pkg/", import.meta.url));
/** An entry's loader for pages, and its module. */
const ENTRIES = {
  "imagen-cloud": ["browser.js", "imagen_cloud_bg.wasm"],
  "imagen-cloud/outbox": ["outbox-browser.js", "imagen_cloud_outbox_bg.wasm"],
};
const OUTBOX = [
  "outbox",
  "store",
  "records",
  "database",
  "recovery",
  "lock",
  "shown",
  "within",
  "renew",
  "copies",
  "idb",
].map((name) => `${name}.js`);

const budget = JSON.parse(readFileSync(new URL("../size-budget.json", import.meta.url), "utf8"));
const over = [];
for (const [entry, [loader, wasm]] of Object.entries(ENTRIES)) {
  const parts = partsOf(loader, wasm);
  const allowed = budget[entry] ?? {};
  const together = { raw: 0, brotli: 0 };
  for (const [part, files] of parts) {
    const { raw, brotli } = measure(files);
    together.raw += raw;
    together.brotli += brotli;
    print(entry, part, raw, brotli);
    if (!(brotli <= allowed[part]))
      over.push(`${entry}: ${part}: ${brotli} bytes, ${brotli - allowed[part]} more than ${allowed[part]}`);
  }
  print(entry, "together", together.raw, together.brotli);
  for (const part of Object.keys(allowed)) if (!parts.has(part)) over.push(`${entry}: ${part}: there is no such part`);
}
if (over.length > 0) {
  console.error(`build: larger than size-budget.json allows:\n${over.map((each) => `  ${each}`).join("\n")}
Make it smaller, or raise the budget and say in the commit what the bytes are for.`);
  process.exitCode = 1;
}

function print(entry, part, raw, brotli) {
  const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  console.log(`build: ${entry.padEnd(20)} ${part.padEnd(29)} ${kb(raw).padStart(9)}, brotli ${kb(brotli).padStart(8)}`);
}

/** The files that a loader loads before anything is called, by their part. */
function partsOf(loader, wasm) {
  const parts = new Map([[wasm, [`wasm/${wasm}`]]]);
  for (const file of loadedBy(loader)) {
    const name = basename(file);
    const isGenerated = file.startsWith("wasm/snippets/") || /^imagen_cloud\w*\.js$/.test(name);
    const part = isGenerated ? name : OUTBOX.includes(name) ? "outbox" : "loader";
    parts.set(part, [...(parts.get(part) ?? []), file]);
  }
  return parts;
}

/** A file of the package, and what it imports by statements. */
function loadedBy(loader) {
  const { metafile } = buildSync({
    entryPoints: [PKG + loader],
    bundle: true,
    format: "esm",
    write: false,
    metafile: true,
    absWorkingDir: PKG,
  });
  const found = new Set([loader]);
  for (const file of found) {
    for (const { path, kind } of metafile.inputs[file].imports) {
      if (kind === "import-statement") found.add(path);
    }
  }
  return found;
}

/** Files that a bundler puts into one. */
function measure(files) {
  const bytes = Buffer.concat(files.map(served));
  return { raw: bytes.length, brotli: brotliCompressSync(bytes).length }; // quality 11 is zlib's default
}

function served(file) {
  const bytes = readFileSync(PKG + file);
  return file.endsWith(".js") ? Buffer.from(minifySync(file, bytes.toString(), { module: true }).code) : bytes;
}
