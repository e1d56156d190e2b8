// The examples in Rust and Python as their READMEs say: the library put into each, which makes one component.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compileService, testService } from "../component/service.mjs";
import { translate, witOf } from "../component/translate.mjs";
import { startEmbedded } from "../support/embedded.mjs";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const run = promisify(execFile);
const COMPOSED = file("target/component/composed.wasm");
const WASMTIME = file(".tools/wasmtime");
const COMPONENTIZE = file(".tools/componentize-py");
const sysroot = (await run(file(".tools/bin/rustc"), ["--print", "sysroot"])).stdout.trim();

if (existsSync(`${sysroot}/lib/rustlib/wasm32-wasip2`)) {
  testService(async () => {
    await run(file("scripts/component.sh"));
    await compose(await compileService(), COMPOSED);
    await translate(COMPOSED, "composed", file("target/component/composed"));
    return file("target/component/composed/composed.js");
  });
  test("put together with the library it is one component, which asks for nothing of ours", async () => {
    const wit = await witOf(COMPOSED);
    assert.doesNotMatch(wit, /import imagen:/);
    assert.match(wit, /import wasi:http\/outgoing-handler@/);
    assert.match(wit, /export wasi:http\/incoming-handler@/);
  });
  test("a program in Python sends an image, and prints where it can be seen", async (t) => {
    if (!existsSync(COMPONENTIZE)) return t.skip("there is no componentize-py");
    await testPython(t);
  });
} else {
  test("the composed service", { skip: "there is no standard library for wasm32-wasip2" });
}

async function compose(app, to) {
  const manifest = ["--manifest-path", file("tests/packaging/compose/Cargo.toml"), "--target-dir", file("target")];
  const files = [app, file("target/component/library.wasm"), to];
  await run(file(".tools/bin/cargo"), ["run", "--locked", "--quiet", ...manifest, "--", ...files]);
}

async function testPython(t) {
  const example = file("examples/wasi-python");
  const [app, composed] = [file("target/component/python.wasm"), file("target/component/send.wasm")];
  const args = ["-d", file("wit"), "-d", "wit", "-w", "example:send/send", "componentize", "app", "-o", app];
  const python = { ...process.env, PYTHONPATH: COMPONENTIZE, PYTHONDONTWRITEBYTECODE: "1" };
  await run(`${COMPONENTIZE}/bin/componentize-py`, args, { cwd: example, env: python });
  await compose(app, composed);

  const supabase = await startEmbedded();
  t.after(() => supabase.close());
  const { id } = await supabase.createUser();
  const env = { SUPABASE_URL: supabase.url, SUPABASE_SECRET_KEY: supabase.secretKey, IMAGEN_OWNER_USER_ID: id };
  const given = [composed, file("tests/data"), "images/lighthouse.png", "42", "a lighthouse"];
  const guest = [file("tests/component/guest.py"), "command", ...given];
  // CPython takes the engine a minute to compile, on a machine that has other things to do.
  const { stdout } = await run(file(".tools/bin/python3"), guest, { env: { PYTHONPATH: WASMTIME, ...env } });
  const seen = await fetch(stdout.trim());
  assert.deepEqual(Buffer.from(await seen.arrayBuffer()), await readFile(file("tests/data/lighthouse.png")));
  const rows = await supabase.sql("select prompt from imagen.images where owner_user_id = $1", [id]);
  assert.deepEqual(rows, [{ prompt: "a lighthouse" }]);
}
