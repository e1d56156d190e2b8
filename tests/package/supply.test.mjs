// What this is built on: exact versions, from wherever the user's registry is, under licences that let it be passed on.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const json = async (path) => JSON.parse(await readFile(new URL(`../../${path}`, import.meta.url), "utf8"));
const FOLDERS = ["", "pkg/", "www/app/", "www/worker/", "tests/packaging/tools/"];
const LOCKED = ["", "tests/packaging/tools/"];

for (const folder of FOLDERS) {
  test(`${folder}package.json names exact versions`, async () => {
    const { dependencies, devDependencies, optionalDependencies } = await json(`${folder}package.json`);
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
    }
  });
}

for (const folder of LOCKED) {
  test(`${folder}package-lock.json knows every package's hash, and no registry`, async () => {
    const { packages } = await json(`${folder}package-lock.json`);
    for (const [path, { link, resolved, integrity, inBundle }] of Object.entries(packages)) {
      if (!path.includes("node_modules/") || link || inBundle) continue;
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
    assert.ok(["MIT", "ISC", "0BSD", "Apache-2.0", "OFL-1.1"].includes(license), `${path}: ${license}`);
  }
});
