// Gives what wasm-bindgen made short names: those of its own have a hash each, which does not compress, and stand both in the
// module and in its glue. What comes from our own modules is imported by its name, so that bundlers leave out what is not, and each
// module once. Usage: node scripts/glue.mjs FOLDER NAME
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { moduleOf, number, reader, SECTION, sectionsOf, text } from "./leb128.mjs";

/** What is told of a module to whoever uses it without our loaders. */
const KEPT = new Set(["memory"]);

/** wasm-bindgen's output, both with short names. Throws where it has another form than is known here. */
export function shorten({ wasm, glue, types }) {
  const names = { imports: new Map(), exports: new Map() };
  const short = (map, name) => {
    if (!map.has(name)) map.set(name, letters(map.size));
    return map.get(name);
  };
  const rewritten = sectionsOf(wasm).map(({ id, body }) => {
    if (id === SECTION.imports) {
      const renamed = (module, name) => ["a", short(names.imports, `${module} ${name}`)];
      return { id, body: renameImports(body, renamed) };
    }
    if (id !== SECTION.exports) return { id, body };
    return { id, body: renameExports(body, (name) => (KEPT.has(name) ? name : short(names.exports, name))) };
  });
  return {
    wasm: moduleOf(wasm, rewritten),
    glue: renameInGlue(glue, names),
    // The other exports are the glue's own affair.
    types: replacedOnce(types, /(?<=export interface InitOutput \{\n)(?: {4}readonly .*\n)+/, (members) =>
      members.replaceAll(/^ {4}readonly (?!memory:).*\n/gm, ""),
    ),
  };
}

function renameInGlue(text, names) {
  let glue = text.replaceAll(/\bwasm\.(\w+)/g, (_, name) => {
    if (KEPT.has(name)) return `wasm.${name}`;
    if (!names.exports.has(name)) throw otherForm(`no export ${name}`);
    return `wasm.${names.exports.get(name)}`;
  });
  const [own, ours] = [new Map(), new Map()];
  for (const [imported, short] of names.imports) {
    const [module, name] = imported.split(" ");
    if (!module.startsWith("./snippets/")) own.set(name, short);
    else ours.set(module, [...(ours.get(module) ?? []), { name, short }]);
  }
  for (const [name, short] of own) {
    glue = replacedOnce(glue, new RegExp(`^ {8}${name}: `, "m"), () => `        ${short}: `);
  }
  // Our own functions by their names, in the one object of imports.
  glue = glue.replaceAll(/^import \* as import\d+ from .*\n|^ {8}"\.\/snippets\/.*": import\d+,\n/gm, "");
  const named = [...ours].map(
    ([module, some]) =>
      `import { ${some.map(({ name, short }) => `${name} as $${short}`).join(", ")} } from "${module}";\n`,
  );
  const members = [...ours.values()].flat().map(({ short }) => `        ${short}: $${short},\n`);
  glue = replacedOnce(glue, /^ {4}const import0 = \{\n {8}__proto__: null,\n/m, (lines) => lines + members.join(""));
  glue = replacedOnce(glue, /^ {8}"\.\/\w+_bg\.js": import0,$/m, () => "        a: import0,");
  // A promise's turn comes as soon, a fake clock of a test does not hold it, and in workerd it takes a fifth of the time.
  glue = replacedOnce(glue, /\bqueueMicrotask\(arg0\);/, () => "Promise.resolve().then(arg0);");
  return named.join("") + glue;
}

function renameImports(body, renamed) {
  const bytes = reader(body);
  const parts = [];
  const count = bytes.number();
  for (let left = count; left > 0; left--) {
    const [module, name] = [bytes.text(), bytes.text()];
    const kind = bytes.number();
    if (kind !== 0) throw otherForm(`an import of the kind ${kind}`);
    parts.push(...renamed(module, name).map(text), Buffer.from([kind]), number(bytes.number()));
  }
  return Buffer.concat([number(count), ...parts]);
}

function renameExports(body, renamed) {
  const bytes = reader(body);
  const parts = [];
  const count = bytes.number();
  for (let left = count; left > 0; left--) {
    parts.push(text(renamed(bytes.text())), number(bytes.number()), number(bytes.number()));
  }
  return Buffer.concat([number(count), ...parts]);
}

/** a to z, aa to zz. */
function letters(index) {
  const last = String.fromCharCode(97 + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}

function replacedOnce(string, pattern, replace) {
  const found = string.match(new RegExp(pattern, `g${pattern.flags}`)) ?? [];
  if (found.length !== 1) throw otherForm(`${pattern} is there ${found.length} times`);
  return string.replace(pattern, replace);
}

const otherForm = (problem) => new Error(`wasm-bindgen's output has another form, see scripts/glue.mjs: ${problem}`);

const [, script, folder, name] = process.argv;
if (script === import.meta.filename) {
  const files = { wasm: `${name}_bg.wasm`, glue: `${name}.js`, types: `${name}.d.ts` };
  const read = async ([key, file]) => [
    key,
    await readFile(path.join(folder, file), key === "wasm" ? undefined : "utf8"),
  ];
  const made = shorten(Object.fromEntries(await Promise.all(Object.entries(files).map(read))));
  await Promise.all(Object.entries(files).map(([key, file]) => writeFile(path.join(folder, file), made[key])));
}
