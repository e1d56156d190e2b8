// Prints what a page has to load, part by part: the module, its glue and the package's own JavaScript, minified as a
// bundler serves it, raw and in brotli. Fails where a part is larger than size-budget.json allows, in bytes of brotli.
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { minifySync } from "vite";

const pkg = new URL("../pkg/", import.meta.url);
const budget = JSON.parse(readFileSync(new URL("../size-budget.json", import.meta.url), "utf8"));
const snippets = readdirSync(new URL("wasm/", pkg), { recursive: true }).filter((file) =>
  /^snippets.*\.js$/.test(file),
);
const generated = ["imagen_cloud_bg.wasm", "imagen_cloud.js", ...snippets.sort()];
const outbox = ["outbox.js", "store.js", "copies.js"];
const others = ["node.js", "workerd.js", "cli.js", "migration.js"]; // no page's
const own = readdirSync(pkg).filter((file) => file.endsWith(".js") && ![...outbox, ...others].includes(file));
const parts = {
  ...Object.fromEntries(generated.map((file) => [basename(file), [`wasm/${file}`]])),
  loader: [...own.sort(), "wasm/errors.js"],
  outbox: [...outbox, "wasm/idb.js"],
};

const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
const line = (name, raw, brotli) =>
  `build: ${name.padEnd(22)} ${kb(raw).padStart(9)}, brotli ${kb(brotli).padStart(8)}`;
const together = { raw: 0, brotli: 0 };
const over = [];
for (const [name, files] of Object.entries(parts)) {
  const { raw, brotli } = measure(files);
  together.raw += raw;
  together.brotli += brotli;
  console.log(line(name, raw, brotli));
  if (!(brotli <= budget[name]))
    over.push(`${name}: ${brotli} bytes, ${brotli - budget[name]} more than ${budget[name]}`);
}
for (const name of Object.keys(budget)) if (!parts[name]) over.push(`${name}: there is no such part`);
console.log(line("together", together.raw, together.brotli));
if (over.length > 0) {
  console.error(`build: larger than size-budget.json allows:\n${over.map((each) => `  ${each}`).join("\n")}
Make it smaller, or raise the budget and say in the commit what the bytes are for.`);
  process.exitCode = 1;
}

/** Files that a bundler puts into one. */
function measure(files) {
  const bytes = Buffer.concat(files.map(served));
  return { raw: bytes.length, brotli: brotliCompressSync(bytes).length }; // quality 11 is zlib's default
}

function served(file) {
  const bytes = readFileSync(new URL(file, pkg));
  return file.endsWith(".js") ? Buffer.from(minifySync(file, bytes.toString(), { module: true }).code) : bytes;
}
