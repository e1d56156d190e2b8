// The packed package where it fails first; `make package-test` tries every host and bundler.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createProject, pack, testEnvironments } from "../packaging/environments.mjs";
import { startEmbedded } from "../support/embedded.mjs";

const IMAGE = fileURLToPath(new URL("../data/lighthouse.png", import.meta.url));

testEnvironments([
  ...["page, no bundler", "page, esbuild", "Node, import", "Node, require", "workerd, wrangler"],
  ...["outbox: page, no bundler", "outbox: Node, import"],
]);

test("the README's first program sends an image, in less than 15 lines", async (t) => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const [, code] = readme.match(/^```js hello\.mjs\n(.*?)^```/ms);
  assert.ok(code.trimEnd().split("\n").length < 15);
  const packed = await pack();
  t.after(packed.remove);
  const { folder, remove } = await createProject(packed.tarball);
  t.after(remove);
  const backend = await startEmbedded();
  t.after(backend.close);

  await writeFile(path.join(folder, "hello.mjs"), code);
  const args = ["hello.mjs", backend.url, backend.publishableKey, IMAGE];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
  const stored = await fetch(stdout.trim());
  assert.deepEqual(Buffer.from(await stored.arrayBuffer()), await readFile(IMAGE));
  const rows = await backend.sql("select storage_path from imagen.images");
  assert.match(
    rows.map((row) => row.storage_path).join(),
    /^[-0-9a-f]{36}\/\d{4}-\d\d-\d\d\/a-lighthouse-at-dusk-42-[0-9a-f]{12}\.png$/,
  );
});
