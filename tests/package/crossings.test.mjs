// How often a call goes from the WebAssembly to the host and back. Each time is little; but in a server one request makes one call,
// and of code that is run once nothing is quick.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { PATH } from "./helpers.mjs";

const WASM = new URL("../../pkg/wasm/imagen_cloud_bg.wasm", import.meta.url);

/** A build of its own, whose imports are counted. */
async function counting(t) {
  let calls = 0;
  const counted = (run) =>
    typeof run !== "function"
      ? run
      : (...args) => {
          calls += 1;
          return run(...args);
        };
  const all = (imports) => Object.fromEntries(Object.entries(imports).map(([name, run]) => [name, counted(run)]));
  const { instantiate } = WebAssembly;
  const instead = t.mock.method(WebAssembly, "instantiate", (source, modules) =>
    instantiate(source, Object.fromEntries(Object.entries(modules).map(([name, imports]) => [name, all(imports)]))),
  );
  const build = await import("../../pkg/wasm/imagen_cloud.js?counted");
  await build.default({ module_or_path: await readFile(WASM) });
  instead.mock.restore();
  const during = async (work) => {
    const before = calls;
    await work();
    // What is put off till later belongs to it too.
    await new Promise((resolve) => setImmediate(resolve));
    return calls - before;
  };
  return { build, during };
}

test("a link goes to the host and back 60 times at most", async (t) => {
  const { build, during } = await counting(t);
  const answer = { status: 200, redirected: false, text: async () => '{"signedURL":"/object/sign/x?token=t"}' };
  const sink = new build.Sink({ url: "https://x.invalid", apiKey: "test-key", fetch: async () => answer });
  const link = () => sink.signedUrl(PATH, 60, { deadlineMs: 20_000 });
  // What is asked of the host but once.
  assert.equal(await link(), "https://x.invalid/storage/v1/object/sign/x?token=t");
  const calls = await during(link);
  assert.ok(calls <= 60, `${calls} calls`);
  sink.free();
});
