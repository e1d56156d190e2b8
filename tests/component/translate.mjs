// Components by jco's tools.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const tools = createRequire(new URL("tools/package.json", import.meta.url));
const load = (name) => import(pathToFileURL(tools.resolve(name)).href);

/** The component of a core module that holds its WIT. */
export async function componentOf(module) {
  const { componentNew } = await load("@bytecodealliance/jco-transpile/wasm-tools");
  return componentNew(module);
}

/** What a component says of itself, in WIT. */
export async function witOf(file) {
  const { componentWit } = await load("@bytecodealliance/jco-transpile/wasm-tools");
  return componentWit(await readFile(file));
}

/** Writes JavaScript of a component into a folder, as `NAME.js` and what it needs. `map` says which module an import is. */
export async function translate(file, name, folder, map) {
  const { transpile } = await load("@bytecodealliance/jco-transpile");
  await rm(folder, { recursive: true, force: true });
  const { files } = await transpile(file, { name, outDir: folder, map });
  for (const [name, bytes] of Object.entries(files)) {
    const target = path.relative(folder, name).startsWith("..") ? path.join(folder, name) : name;
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, bytes);
  }
}
