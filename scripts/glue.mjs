// Makes wasm-bindgen's glue import each module of ours once: it writes an import, and a key of the same name, for every
// function that comes from there, and bundlers warn of the keys. Usage: node scripts/glue.mjs FILE
import { readFile, writeFile } from "node:fs/promises";

const IMPORT = /^import \* as (import\d+) from "(\.\/snippets\/[^"]+)"$/;
const KEY = /^ {8}"(\.\/snippets\/[^"]+)": (import\d+),$/;

/** The glue with each module imported, and named, once. Throws where it has another form than is known here. */
export function importOnce(glue) {
  const seen = { [IMPORT.source]: new Map(), [KEY.source]: new Map() };
  const isFirst = (pattern, path, name) => {
    const names = seen[pattern.source];
    if (!names.has(path)) names.set(path, name);
    return names.get(path) === name;
  };
  const lines = glue.split("\n").filter((line) => {
    const [, name, from] = IMPORT.exec(line) ?? [];
    if (name !== undefined) return isFirst(IMPORT, from, name);
    const [, key, value] = KEY.exec(line) ?? [];
    return key === undefined || isFirst(KEY, key, value);
  });
  const [imports, keys] = Object.values(seen).map((names) => JSON.stringify([...names]));
  if (imports !== keys || imports === "[]")
    throw new Error("wasm-bindgen's glue has another form: see scripts/glue.mjs");
  return lines.join("\n");
}

const [, script, file] = process.argv;
if (script === import.meta.filename) await writeFile(file, importOnce(await readFile(file, "utf8")));
