// Lists what ships: the crates in the WebAssembly, and the npm packages in the package, the Worker and the app, with
// versions, licences and the hashes of the lock files. Usage: node scripts/sbom.mjs FILE writes it as CycloneDX 1.6.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Packages for development only, of which a part is copied into what ships: the outbox's wrapper, and the app's fonts. */
const COPIED = ["idb", "@fontsource-variable/geist", "@fontsource-variable/geist-mono", "@fontsource/instrument-serif"];

/** The list as CycloneDX has it. */
export async function listShipped() {
  const components = [...(await crates()), ...(await packages())];
  const { name, version } = JSON.parse(await readFile(`${ROOT}pkg/package.json`, "utf8"));
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "library", name, version } },
    components: components.sort((a, b) => (a.purl < b.purl ? -1 : 1)),
  };
}

/** What is linked into the WebAssembly: no macros, no tools of the build. */
async function crates() {
  const args = ["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}"];
  const tree = execFileSync("cargo", [...args, "--target", "wasm32-unknown-unknown"], { cwd: ROOT, encoding: "utf8" });
  const { package: locked } = parse(await readFile(`${ROOT}Cargo.lock`, "utf8"));
  // A star says that a crate's own dependencies were listed before.
  const lines = new Set(tree.trim().replaceAll(" (*)", "").split("\n"));
  return [...lines].flatMap((line) => {
    const [, name, version, licence] = /^(\S+) v(\S+)[^|]*\|(.*)$/.exec(line);
    const { checksum } = locked.find((entry) => entry.name === name && entry.version === version);
    if (checksum === undefined) return [];
    return [component(name, version, `pkg:cargo/${name}@${version}`, licence, { alg: "SHA-256", content: checksum })];
  });
}

/** The dependencies of the Worker and the app, and theirs, and what is copied. */
async function packages() {
  const { packages: locked } = JSON.parse(await readFile(`${ROOT}package-lock.json`, "utf8"));
  const found = new Map();
  const add = (name, from) => {
    const path = resolve(locked, name, from);
    if (path === undefined || found.has(path)) return;
    const entry = locked[path];
    if (entry.link) return;
    found.set(path, entry);
    for (const next of Object.keys(entry.dependencies ?? {})) add(next, path);
  };
  for (const folder of ["pkg", "www/worker", "www/app"]) {
    for (const name of Object.keys(locked[folder].dependencies ?? {})) add(name, folder);
  }
  for (const name of COPIED) add(name, "");
  return [...found].map(([path, { version, license, integrity }]) => {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    const content = Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex");
    const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
    return component(name, version, purl, license, { alg: "SHA-512", content });
  });
}

/** As Node finds it: in the nearest node_modules from there upwards. */
function resolve(locked, name, from) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/")))) {
    const path = folder === "" ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (locked[path] !== undefined) return path;
    if (folder === "") return undefined;
  }
}

function component(name, version, purl, expression, hash) {
  return { type: "library", name, version, purl, "bom-ref": purl, licenses: [{ expression }], hashes: [hash] };
}

const [, script, file] = process.argv;
if (script === import.meta.filename) {
  const list = await listShipped();
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(list, undefined, 2)}\n`);
  console.log(`audit: ${list.components.length} components ship: ${file}`);
}
