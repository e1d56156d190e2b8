// The package's two entries: all but the outbox, and all. Each has a WebAssembly of its own.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as small from "imagen-cloud";
import * as large from "imagen-cloud/outbox";
import { createFakeProject } from "imagen-cloud/testing";
import { aRequest, rejection } from "./helpers.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RELAY = { url: "http://localhost", accessToken: () => "t", ownerUserId: "7d6f2b8e-1111-4222-8333-444455556666" };

test("the_outboxs_entry_has_all_that_the_other_has", () => {
  const own = Object.keys(large).filter((name) => !(name in small));
  assert.deepEqual(own.sort(), ["createOutbox", "drainInBackground"]);
  assert.deepEqual(
    Object.keys(small).filter((name) => !(name in large)),
    [],
  );
});

test("a_handle_says_by_which_entry_it_was_made", async (t) => {
  for (const [name, entry] of Object.entries({ "imagen-cloud": small, "imagen-cloud/outbox": large })) {
    const { options } = createFakeProject();
    const handles = [await entry.createSink(options), await entry.createRelay(RELAY)];
    t.after(() => handles.forEach((handle) => void handle.free()));
    assert.deepEqual(
      handles.map((handle) => handle.entry),
      [name, name],
    );
  }
});

test("a_handle_of_the_other_entry_is_refused_with_the_reason", async (t) => {
  const handles = [await small.createSink(createFakeProject().options), await small.createRelay(RELAY)];
  t.after(() => handles.forEach((handle) => void handle.free()));
  for (const handle of [...handles, new Proxy(handles[0], {})]) {
    const error = await rejection(() => large.createOutbox(handle), { code: "invalid_config", field: "target" });
    assert.equal(
      error.message,
      'createOutbox: its first argument is of "imagen-cloud", which has no outbox: make it by "imagen-cloud/outbox"',
    );
  }
});

test("a_handle_of_another_copy_of_the_package_is_refused_with_the_reason", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "imagen-copy-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(join(ROOT, "pkg"), folder, { recursive: true });
  const copy = await import(pathToFileURL(join(folder, "outbox-node.js")));
  const sink = await copy.createSink(createFakeProject().options);
  t.after(() => sink.free());
  for (const handle of [sink, new Proxy(sink, {})]) {
    const error = await rejection(() => large.createOutbox(handle), { code: "invalid_config", field: "target" });
    assert.match(
      error.message,
      /its first argument is of another copy of imagen-cloud: have one, see npm ls imagen-cloud$/,
    );
  }
});

test("the_outboxs_entry_sends_as_the_other_does", async (t) => {
  const project = createFakeProject();
  const sink = await large.createSink(project.options);
  t.after(() => sink.free());
  const { storagePath } = await sink.sync(aRequest());
  assert.deepEqual([...project.objects.keys()], [storagePath]);
  assert.equal(project.rows.length, 1);
});

test("an_error_of_either_entry_is_known_by_the_other", async () => {
  assert.equal(small.ImagenCloudError, large.ImagenCloudError);
  for (const entry of [small, large]) {
    const error = await entry.createSink({}).catch((thrown) => thrown);
    for (const { ImagenCloudError, isImagenCloudError } of [small, large]) {
      assert.ok(error instanceof ImagenCloudError && isImagenCloudError(error));
    }
  }
});

/** What a new process prints that runs this module and counts what of the package's WebAssembly is instantiated. */
async function printed(code) {
  // Node's fetch has a WebAssembly of its own.
  const counting = `
    let instances = 0;
    const { instantiate } = WebAssembly;
    WebAssembly.instantiate = (source, imports) => {
      if (Object.keys(imports ?? {}).join() === "a") instances += 1; // by the one name that scripts/glue.mjs gives it
      return instantiate.call(WebAssembly, source, imports);
    };`;
  const args = ["--input-type=module", "--eval", `${counting}\n${code}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
  return stdout.trim();
}

test("slugify_of_one_entry_loads_nothing_where_the_other_is_loaded", async () => {
  const code = `
    const [small, large] = [await import("imagen-cloud"), await import("imagen-cloud/outbox")];
    await large.init();
    console.log(await small.slugify("Café"), await large.slugify("Café"), instances);`;
  assert.equal(await printed(code), "cafe cafe 1");
});

test("errors_and_their_guard_load_no_wasm", async () => {
  const code = `
    const [small, large] = [await import("imagen-cloud"), await import("imagen-cloud/outbox")];
    const refused = await large.createOutbox({}).catch((error) => error);
    console.log(small.isImagenCloudError(refused), refused instanceof small.ImagenCloudError, instances);`;
  assert.equal(await printed(code), "true true 0");
});
