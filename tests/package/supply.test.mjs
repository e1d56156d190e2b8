// What this is built on: exact versions, from wherever the user's registry is, under licences that let it be passed on.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { shorten } from "../../scripts/glue.mjs";
import { listShipped } from "../../scripts/sbom.mjs";
import { buildApp } from "../../www/local/app.mjs";
import { bundleWorker } from "../../www/local/worker.mjs";
import { projectsIn } from "../support/projects.mjs";

const text = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");
const json = async (path) => JSON.parse(await text(path));
const foldersIn = async (path) => (await projectsIn(path)).map((project) => `${project}/`);
const HOSTS = await foldersIn("tests/packaging/hosts/");
const LOCKED = ["", "tests/packaging/tools/", "docs/site/", ...(await foldersIn("examples/"))];
const FOLDERS = [...LOCKED, "pkg/", "www/app/", "www/worker/"];
/** How an example has the package of this repository. */
const OURS = "file:../../pkg";

for (const folder of FOLDERS) {
  test(`${folder}package.json names exact versions`, async () => {
    const { dependencies, devDependencies, optionalDependencies } = await json(`${folder}package.json`);
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      if (version === OURS) continue;
      // The same package in several versions has a name for each.
      assert.match(version, /^(npm:\w+@)?\d+\.\d+\.\d+$/, name);
    }
  });
}

for (const folder of LOCKED) {
  test(`${folder}package-lock.json knows every package's hash, and no registry`, async () => {
    const { packages } = await json(`${folder}package-lock.json`);
    for (const [path, { link, resolved, integrity, inBundle }] of Object.entries(packages)) {
      if (!path.includes("node_modules/") || link || inBundle || resolved === OURS) continue;
      assert.match(integrity, /^sha512-/, path);
      assert.equal(resolved, undefined, path);
    }
  });
}

test("what the page and the Worker pass on is under licences that allow it", async () => {
  const { packages } = await json("package-lock.json");
  const shipped = Object.entries(packages).filter(
    ([path, { dev, link }]) => path.startsWith("node_modules/") && !link && (!dev || path.includes("/@fontsource")),
  );
  assert.ok(shipped.length > 10);
  for (const [path, { license }] of shipped) {
    // ExifReader, as it is: MPL-2.0 asks for the source of its own files only, which the registry has.
    const isReader = path === "node_modules/exifreader" && license === "MPL-2.0";
    assert.ok(isReader || ["MIT", "ISC", "0BSD", "Apache-2.0", "OFL-1.1"].includes(license), `${path}: ${license}`);
  }
});

/** Packages with an install script, all of which do without it: their programs are packages of their own, or not needed. */
const SCRIPTED = ["bun", "deno", "esbuild", "exifreader", "fsevents", "workerd"];

test("no install script runs, and a new package that has one is noticed", async () => {
  for (const folder of LOCKED) assert.match(await text(`${folder}.npmrc`), /^ignore-scripts=true$/m, folder);
  assert.match(await text("scripts/bootstrap.sh"), /npm ci --ignore-scripts/);
  for (const folder of [...LOCKED, ...HOSTS]) {
    const { packages } = await json(`${folder}package-lock.json`);
    for (const [path, { hasInstallScript }] of Object.entries(packages)) {
      if (hasInstallScript) assert.ok(SCRIPTED.includes(path.replace(/^.*node_modules\//, "")), path);
    }
  }
});

test("cargo builds what the lock files say, or it is said why not", async () => {
  const scripts = (await readdir(new URL("../../scripts/", import.meta.url))).map((name) => `scripts/${name}`);
  for (const path of [...scripts, "Makefile", ".ci/run", "fuzz/run.sh"]) {
    const lines = (await text(path)).split("\n");
    for (const [at, line] of lines.entries()) {
      if (!/\bcargo[" ,]+(build|test|clippy|doc|install|run|bench|fetch)\b/.test(line) || /^\s*(#|say|\/\/)/.test(line))
        continue;
      const isLocked = /--locked|locked\[@\]/.test(line);
      const above = lines.slice(Math.max(0, at - 6), at).join("\n");
      assert.ok(isLocked || /# .*--locked/.test(above), `${path}:${at + 1}: ${line}`);
    }
  }
});

test("the list of what ships has every package whose source is in the Worker's or the app's bundle", async () => {
  const { components } = await listShipped();
  const names = new Set(components.map(({ name }) => name));
  const maps = [(await bundleWorker()).sourceMap];
  for (const [path, body] of await buildApp()) if (path.endsWith(".map")) maps.push(body.toString());
  const bundled = new Set(maps.flatMap((map) => JSON.parse(map).sources).flatMap(packageOf));
  assert.ok(bundled.has("preact") && bundled.has("jose") && bundled.has("@supabase/auth-js"), [...bundled].join());
  for (const name of bundled) assert.ok(names.has(name), name);
  for (const name of ["idb", "wasm-bindgen", "js-sys", "sha2"]) assert.ok(names.has(name), name);
  for (const name of ["playwright-core", "proptest", "typescript", "syn"]) assert.ok(!names.has(name), name);
  for (const { name, version, hashes } of components) {
    assert.match(version, /^\d+\.\d+\.\d+/, name);
    assert.match(hashes[0].content, /^([0-9a-f]{64}|[0-9a-f]{128})$/, name);
  }
});

function packageOf(source) {
  const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? [];
  return name === undefined || name === "vite" ? [] : [name];
}

for (const name of ["imagen_cloud", "imagen_cloud_outbox"]) {
  test(`${name}: what wasm-bindgen made has short names, and imports ours once and by name`, async () => {
    const [glue, types] = [await text(`pkg/wasm/${name}.js`), await text(`pkg/wasm/${name}.d.ts`)];
    const module = new WebAssembly.Module(await readFile(new URL(`../../pkg/wasm/${name}_bg.wasm`, import.meta.url)));
    const [imports, exports] = [WebAssembly.Module.imports(module), WebAssembly.Module.exports(module)];
    assert.ok(imports.length > 50 && exports.length > 20);
    for (const each of [...imports, ...exports]) assert.match(each.name, /^([a-z]{1,2}|memory)$/);
    assert.deepEqual(new Set(imports.map((each) => each.module)), new Set(["a"]));
    assert.equal(new Set(imports.map((each) => each.name)).size, imports.length);
    assert.doesNotMatch(glue, /^import \* as|_[0-9a-f]{16}\b/m);
    assert.deepEqual(
      types.match(/interface InitOutput \{\n(.*?)^\}/ms)[1].trim(),
      "readonly memory: WebAssembly.Memory;",
    );
  });
}

test("names that can't be shortened are an error, and not half a module", async () => {
  const made = {
    wasm: await readFile(new URL("../../pkg/wasm/imagen_cloud_bg.wasm", import.meta.url)),
    glue: await text("pkg/wasm/imagen_cloud.js"),
    types: await text("pkg/wasm/imagen_cloud.d.ts"),
  };
  assert.throws(() => shorten({ ...made, glue: made.glue.replace("wasm.memory", "wasm.another") }), /another form/);
  assert.throws(() => shorten({ ...made, glue: "" }), /another form/);
  assert.throws(() => shorten({ ...made, types: "" }), /another form/);
});

test("wrangler warns of nothing when it builds the Worker", async () => {
  const { warnings } = await bundleWorker();
  assert.deepEqual(warnings, []);
});
