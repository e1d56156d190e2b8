// The types, as tsc --strict sees them, and every example of the READMEs and docs/.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { PATHS } from "../../docs/site/pages.mjs";

const REPOSITORY = new URL("../../", import.meta.url);
const ROOT = fileURLToPath(REPOSITORY);
const STRICT = "--ignoreConfig --strict --noEmit --target es2022 --lib es2022,dom,dom.iterable --types node";
const RESOLUTIONS = {
  "a bundler": "--module esnext --moduleResolution bundler",
  Node: "--module nodenext --moduleResolution nodenext",
};

/** As much of it as the examples use; they are run in it by tests/packaging. */
const DENO = `declare const Deno: {
  env: { toObject(): Record<string, string> };
  readFile(file: URL): Promise<Uint8Array<ArrayBuffer>>;
  serve(answer: (request: Request) => Response | Promise<Response>): void;
};\n`;

/** What Vue gives to a component's script; the package needs no Vue, and its proxies are tried by tests/package. */
const VUE = `declare module "vue" {
  export function shallowRef<T>(value: T): { value: T };
  export function onUnmounted(end: () => void): void;
}
declare function defineProps<T>(): Readonly<T>;\n`;

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

test("every TypeScript and JavaScript example of the READMEs and docs/ compiles", async () => {
  const pages = [...PATHS.keys(), "pkg/README.md", "fuzz/README.md"].filter((page) => page.endsWith(".md"));
  const folder = new URL("target/examples/", REPOSITORY);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const files = new Map();
  for (const page of pages) {
    const text = await readFile(new URL(page, REPOSITORY), "utf8");
    // After the language may stand the name under which another example, of any page, imports this one. Of a Vue component it
    // is the script that counts.
    for (const { 1: own, 2: code, index } of text.matchAll(
      /^```(?:tsx?|typescript|m?js|javascript|vue\n<script setup lang="ts">)(?=\s) *([^\n]*)\n(.*?)^(?:```|<\/script>)/gms,
    )) {
      const usual = `${page.replaceAll(/\W/g, "-")}-line-${text.slice(0, index).split("\n").length}.ts`;
      const name = own.endsWith(".ts") ? own : usual;
      assert.ok(!files.has(name), `${page}: two examples are named ${name}`);
      files.set(name, code);
    }
  }
  assert.ok(files.size > 15, `${files.size} examples`);
  // An example without an import is a module all the same, so that it may await.
  for (const [name, code] of files) await writeFile(new URL(name, folder), `${code}\nexport {};\n`);
  await writeFile(new URL("deno.d.ts", folder), DENO);
  await writeFile(new URL("vue.d.ts", folder), VUE);
  const paths = ["deno.d.ts", "vue.d.ts", ...files.keys()].map((name) => fileURLToPath(new URL(name, folder)));
  assert.equal(await compile(paths, `${RESOLUTIONS["a bundler"]} --skipLibCheck`), "");
});
