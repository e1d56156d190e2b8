// The components in wasmtime, as Python's package brings it. scripts/bootstrap.sh has said so where there is none.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startEmbedded } from "../support/embedded.mjs";
import { testLibrary } from "./behaviour.mjs";
import { runProgram, testCommand } from "./command.mjs";
import { startInWasmtime } from "./guest.mjs";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const PACKAGES = file("../../.tools/wasmtime");
const PYTHON = file("../../.tools/bin/python3");

if (existsSync(PACKAGES)) {
  testLibrary(() => startInWasmtime(PYTHON, PACKAGES), { endsRequests: true });
  const args = [file("guest.py"), "command", file("../../target/component/command.wasm")];
  testCommand((folder, env) => runProgram(PYTHON, [...args, folder], { PYTHONPATH: PACKAGES, ...env }), 50);
  test("what the documentation does in Python brings an image into its place", testPythonOfTheDocs);
} else {
  test("the components in wasmtime", { skip: "there is no Python with a package of wasmtime" });
}

async function testPythonOfTheDocs(t) {
  const supabase = await startEmbedded();
  t.after(() => supabase.close());
  const folder = await mkdtemp(path.join(tmpdir(), "imagen-python-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [, script] = /```python\n(.*?)```/s.exec(await readFile(file("../../docs/component.md"), "utf8"));
  await writeFile(path.join(folder, "send.py"), script);

  const image = file("../data/lighthouse.png");
  const args = [path.join(folder, "send.py"), file("../../target/component/library.wasm"), image];
  const env = { PYTHONPATH: PACKAGES, SUPABASE_URL: supabase.url, SUPABASE_SERVICE_KEY: supabase.serviceKey };
  const { id } = await supabase.createUser();
  const { status, stdout, stderr } = await runProgram(PYTHON, args, { ...env, IMAGEN_OWNER_USER_ID: id });
  assert.equal(status, 0, stderr);
  const seen = await fetch(stdout.trim());
  assert.deepEqual(Buffer.from(await seen.arrayBuffer()), await readFile(image));
}
