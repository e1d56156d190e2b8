// What the package holds when it is published: what it should, and nothing of the machine that built it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pack } from "../packaging/environments.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PKG = path.join(ROOT, "pkg");
const manifest = JSON.parse(await readFile(path.join(PKG, "package.json"), "utf8"));

test("the tarball holds these files and no other", async (t) => {
  const { files, remove } = await pack();
  t.after(remove);
  const migrations = await readdir(path.join(ROOT, "supabase/migrations"));
  // The snippets' folder has a hash of the crate in its name.
  const named = files.map((file) => file.replace(/imagen-cloud-[0-9a-f]{16}/, "HASH"));
  assert.deepEqual(named.sort(), [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "LICENSE-idb",
    "README.md",
    "api.js",
    "browser.js",
    "cli.js",
    "copies.js",
    "database.js",
    "doctor.js",
    ...["address", "cors", "database", "index", "keys", "page", "project", "report", "storage"].map(
      (name) => `doctor/${name}.js`,
    ),
    "draw-later.js",
    "errors.js",
    "handle.js",
    "index.d.ts",
    "lock.js",
    ...["comfyui.js", "credentials.js", "index.d.ts", "index.js", "programs.js", "texts.js", "values.js"].map(
      (name) => `metadata/${name}`,
    ),
    "migration.js",
    ...migrations.map((file) => `migrations/${file}`),
    "node.js",
    "outbox-browser.js",
    "outbox-node.js",
    "outbox-workerd.js",
    "outbox.d.ts",
    "outbox.js",
    "package.json",
    ...["images.js", "index.d.ts", "index.js", "target.js"].map((name) => `react/${name}`),
    "records.js",
    "recovery.js",
    "renew.js",
    "shown.js",
    "store.js",
    ...["answers.js", "database.js", "index.d.ts", "index.js", "objects.js", "resumable.js", "storage.js"].map(
      (name) => `testing/${name}`,
    ),
    "thumbnail.js",
    "uuid.js",
    "wasm/columns.js",
    "wasm/errors.js",
    "wasm/idb.js",
    "wasm/imagen_cloud.d.ts",
    "wasm/imagen_cloud.js",
    "wasm/imagen_cloud_bg.wasm",
    "wasm/imagen_cloud_outbox.d.ts",
    "wasm/imagen_cloud_outbox.js",
    "wasm/imagen_cloud_outbox_bg.wasm",
    "wasm/inline.js",
    "wasm/inline_outbox.js",
    "wasm/snippets/HASH/src/api/read.js",
    "wasm/snippets/HASH/src/host/host.js",
    "wasm/snippets/HASH/src/host/image.js",
    "wasm/snippets/HASH/src/host/safe.js",
    "within.js",
    "workerd.js",
  ]);
  for (const file of files) {
    const text = await readFile(path.join(PKG, file), "latin1");
    assert.doesNotMatch(text, /sourceMappingURL/, `${file}: there are no source maps`);
  }
});

test("the_package_ships_the_migrations_as_they_are", async () => {
  for (const file of await readdir(path.join(ROOT, "supabase/migrations"))) {
    const [shipped, own] = ["pkg/migrations", "supabase/migrations"].map((folder) => path.join(ROOT, folder, file));
    assert.equal(await readFile(shipped, "utf8"), await readFile(own, "utf8"), file);
  }
});

test("the_documented_way_copies_the_migrations_behind_a_projects_own_in_their_order", async (t) => {
  const page = await readFile(path.join(ROOT, "docs/supabase.md"), "utf8");
  const [, command] = page.match(/^```sh\n(stamp=.*?)^```$/ms);
  const project = await mkdtemp(path.join(tmpdir(), "imagen-project-"));
  t.after(() => rm(project, { recursive: true }));
  await mkdir(path.join(project, "supabase/migrations"), { recursive: true });
  await mkdir(path.join(project, "node_modules"));
  await symlink(PKG, path.join(project, "node_modules/imagen-cloud"));
  await promisify(execFile)("sh", ["-ec", command], { cwd: project });
  const names = (files) => files.sort().map((file) => file.replace(/^\d+_/, ""));
  const copied = await readdir(path.join(project, "supabase/migrations"));
  assert.ok(copied.every((file) => /^\d{14}_/.test(file)));
  assert.deepEqual(names(copied), names(await readdir(path.join(ROOT, "supabase/migrations"))));
});

test("its users need no dependency and no install script", () => {
  assert.equal(manifest.scripts, undefined);
  for (const kind of ["dependencies", "optionalDependencies", "bundleDependencies"]) {
    assert.equal(manifest[kind], undefined, kind);
  }
  // Who uses the hooks has React; nobody else gets it.
  assert.deepEqual(Object.keys(manifest.peerDependencies), Object.keys(manifest.peerDependenciesMeta));
  assert.ok(Object.values(manifest.peerDependenciesMeta).every(({ optional }) => optional));
});

test("it has its licences, idb's too, and they are those it names", async () => {
  assert.equal(manifest.license, "MIT OR Apache-2.0");
  for (const [file, first] of Object.entries({ "LICENSE-MIT": /MIT License/, "LICENSE-APACHE": /Apache License/ })) {
    assert.match(await readFile(path.join(PKG, file), "utf8"), first);
    assert.equal(await readFile(path.join(PKG, file), "utf8"), await readFile(path.join(ROOT, file), "utf8"));
  }
  const idb = JSON.parse(await readFile(path.join(ROOT, "node_modules/idb/package.json"), "utf8"));
  assert.equal(idb.license, "ISC");
  assert.match(await readFile(path.join(PKG, "LICENSE-idb"), "utf8"), /ISC|Permission to use, copy, modify/);
});

test("the wasm names no folder of the machine that built it", async () => {
  for (const file of ["imagen_cloud_bg.wasm", "imagen_cloud_outbox_bg.wasm"]) {
    const wasm = await readFile(path.join(PKG, "wasm", file), "latin1");
    for (const folder of [ROOT, homedir(), process.env.CARGO_HOME, "registry/src"]) {
      if (folder) assert.ok(!wasm.includes(folder), folder);
    }
  }
});
