// The types, as tsc --strict sees them, and every example of the READMEs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STRICT = "--ignoreConfig --strict --noEmit --target es2022 --lib es2022,dom,dom.iterable --types node";
const RESOLUTIONS = {
  "a bundler": "--module esnext --moduleResolution bundler",
  Node: "--module nodenext --moduleResolution nodenext",
};

/** What tsc says about some files; nothing if they are right. */
async function compile(files, flags) {
  const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
  try {
    await promisify(execFile)(process.execPath, [tsc, ...`${STRICT} ${flags}`.split(" "), ...files], { cwd: ROOT });
    return "";
  } catch (error) {
    return error.stdout || error.stderr || error.message;
  }
}

for (const [name, flags] of Object.entries(RESOLUTIONS)) {
  test(`right uses compile, as ${name} resolves the package`, async () => {
    assert.equal(await compile(["tests/types/right.ts"], flags), "");
  });

  test(`wrong uses do not compile, as ${name} resolves the package`, async () => {
    assert.equal(await compile(["tests/types/wrong.ts"], flags), "");
  });
}

for (const name of ["README.md", "pkg/README.md"]) {
  test(`every TypeScript and JavaScript example of ${name} compiles`, async () => {
    const readme = await readFile(new URL(`../../${name}`, import.meta.url), "utf8");
    // After the language may stand the name under which another example imports this one.
    const blocks = [...readme.matchAll(/^```(ts|tsx|typescript|js|javascript|mjs)\b *([^\n]*)\n(.*?)^```/gms)];
    assert.ok(blocks.length > 0, `${name} has examples`);
    const folder = new URL(`../../target/examples/${name}/`, import.meta.url);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const files = [];
    for (const [index, [, language, own, code]] of blocks.entries()) {
      const line = readme.slice(0, readme.indexOf(code)).split("\n").length;
      const usual = `example-${index + 1}-line-${line}.${language === "tsx" ? "tsx" : "ts"}`;
      const file = new URL(own || usual, folder);
      // An example without an import is a module all the same, so that it may await.
      await writeFile(file, `${code}\nexport {};\n`);
      files.push(fileURLToPath(file));
    }
    assert.equal(await compile(files, `${RESOLUTIONS["a bundler"]} --skipLibCheck`), "");
  });
}
