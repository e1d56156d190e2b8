// docs/decisions.md says what each dependency is for.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parse } from "smol-toml";
import { projectsIn } from "../support/projects.mjs";

const ROOT = new URL("../../", import.meta.url);
const source = (path) => readFile(new URL(path, ROOT), "utf8");
const folders = await projectsIn("tests/packaging/hosts/");
const examples = await projectsIn("examples/");
const NPM = [
  ".",
  "pkg",
  "www/app",
  "www/worker",
  "tests/component/tools",
  "tests/packaging/tools",
  "docs/site",
  ...folders,
  ...examples,
];
const CARGO = [
  "Cargo.toml",
  "fuzz/Cargo.toml",
  "examples/wasi-service/Cargo.toml",
  "benches/wasi-http/Cargo.toml",
  "tests/packaging/compose/Cargo.toml",
];

/** An alias such as `"vite5": "npm:vite@5.4.21"` is what it stands for; fonts have one line together. */
const named = ([name, version]) => (/^npm:(.+)@/.exec(version)?.[1] ?? name).replace(/^@fontsource.*/, "@fontsource…");

async function ofNpm(folder) {
  const { dependencies, devDependencies } = JSON.parse(await source(`${folder}/package.json`));
  return Object.entries({ ...dependencies, ...devDependencies }).map(named);
}

async function ofCargo(path) {
  const manifest = parse(await source(path));
  return [manifest, ...Object.values(manifest.target ?? {})].flatMap((table) =>
    Object.keys({ ...table.dependencies, ...table["dev-dependencies"] }),
  );
}

test("every_dependency_has_its_reason", async () => {
  const page = await source("docs/decisions.md");
  const all = (await Promise.all([...NPM.map(ofNpm), ...CARGO.map(ofCargo)])).flat();
  const own = (name) => name === "imagen-cloud";
  assert.ok(all.length > 60, `${all.length} dependencies`);
  assert.deepEqual(
    all.filter((name) => !own(name) && !page.includes(`\`${name}\``)),
    [],
  );
});
