// The output of a plain `wasm-pack build --target web` is usable without the package's loaders.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createFakeProject } from "imagen-cloud/testing";
import { aRequest, OWNER, PATH, PNG, scripted } from "./helpers.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OUT = new URL("../../target/plain-wasm/", import.meta.url);
let library;
let memory;

/** From nothing it compiles all crates, beside whatever else runs. */
const BUILD_MS = 8 * 60_000;

before(
  async () => {
    // A release takes half a minute, and is what the other tests are about.
    const args = [
      "build",
      "--dev",
      "--target",
      "web",
      "--mode",
      "no-install",
      "--no-opt",
      "--out-dir",
      fileURLToPath(OUT),
      ".",
      "--",
      "--locked",
    ];
    const path = `${ROOT}.tools/bin:${process.env.PATH}`;
    await promisify(execFile)("wasm-pack", args, {
      cwd: ROOT,
      env: { ...process.env, PATH: path },
      maxBuffer: 1 << 26,
    });
    library = await import(new URL("imagen_cloud.js", OUT));
    const module = await readFile(new URL("imagen_cloud_bg.wasm", OUT));
    ({ memory } = library.initSync({ module }));
  },
  { timeout: BUILD_MS },
);

test("a Sink made from options syncs", async (t) => {
  const server = await scripted(t);
  const sink = new library.Sink({ url: server.url, apiKey: "test-key", ownerUserId: OWNER });
  const { storagePath, imageId } = await sink.sync(aRequest());
  sink.free();
  assert.equal(storagePath, PATH);
  assert.match(imageId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(server.requests[0].body, Buffer.from(PNG));
});

test("sync and signedUrl are there as functions", async (t) => {
  const server = await scripted(t, {
    "POST /storage/v1/object/sign/": [{ body: { signedURL: "/object/sign/x?token=t" } }],
  });
  const options = { url: server.url, apiKey: "test-key", ownerUserId: OWNER };
  assert.equal((await library.sync(options, aRequest())).storagePath, PATH);
  assert.equal(await library.signedUrl(options, PATH, 60), `${server.url}/storage/v1/object/sign/x?token=t`);
});

test("bad options and requests are errors with a code", async () => {
  assert.throws(() => new library.Sink({ url: 1 }), { name: "ImagenCloudError", code: "invalid_config", field: "url" });
  await assert.rejects(library.sync({ url: "http://localhost", apiKey: "k" }, {}), { name: "ImagenCloudError" });
});

test("100 MB go through without entering the wasm memory", async () => {
  const project = createFakeProject();
  const sink = new library.Sink({ ...project.serverOptions, resumableFrom: 2 ** 30 });
  const large = new Uint8Array(100 * 1024 * 1024);
  large.set(PNG);
  await sink.sync(aRequest({ image: new Blob([large]) }));
  await sink.sync(aRequest({ image: large }));
  sink.free();
  assert.equal(project.rows.length, 2);
  assert.ok(memory.buffer.byteLength <= 2 * 1024 * 1024, `${memory.buffer.byteLength} bytes`);
});
