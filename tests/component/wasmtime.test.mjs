// The components in wasmtime, as Python's package brings it. scripts/bootstrap.sh has said so where there is none.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { image as large, SIZE } from "../large/image.mjs";
import { startChaos } from "../support/chaos.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { sha256, verify } from "../support/verify.mjs";
import { testLibrary } from "./behaviour.mjs";
import { runProgram, testCommand } from "./command.mjs";
import { startInWasmtime } from "./guest.mjs";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const PACKAGES = file("../../.tools/wasmtime");
const PYTHON = file("../../.tools/bin/python3");

if (existsSync(PACKAGES)) {
  testLibrary(() => startInWasmtime(PYTHON, PACKAGES), { endsRequests: true });
  const args = [file("guest.py"), "command", file("../../target/component/command.wasm")];
  const runCommand = (folder, env) => runProgram(PYTHON, [...args, folder], { PYTHONPATH: PACKAGES, ...env });
  testCommand(runCommand, 50);
  test("a file of 100 MB goes in pieces through cuts, by a command with 4 MiB of memory", async (t) => {
    const supabase = await startEmbedded();
    t.after(() => supabase.close());
    await testLargeFile(t, supabase, runCommand);
  });
  test("what the documentation does in Python brings an image into its place", testPythonOfTheDocs);
} else {
  test("the components in wasmtime", { skip: "there is no Python with a package of wasmtime" });
}

async function testLargeFile(t, supabase, runCommand) {
  const cuts = ["cut-midway", undefined, "cut-after", "bad-gateway"];
  const place = ({ method }) => (method === "PATCH" ? cuts.shift() : undefined);
  const chaos = await startChaos({ target: supabase.url, place });
  t.after(() => chaos.close());
  const folder = await mkdtemp(path.join(tmpdir(), "imagen-large-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await mkdir(path.join(folder, "2026-05-11"));
  await writeFile(path.join(folder, "2026-05-11/large-1.png"), large);
  await writeFile(path.join(folder, "2026-05-11/large-1.json"), '{"prompt":"p","backend":"b"}');

  const { id } = await supabase.createUser();
  const env = { SUPABASE_URL: chaos.url, SUPABASE_SERVICE_KEY: supabase.serviceKey, IMAGEN_OWNER_USER_ID: id };
  const { status, stdout, stderr } = await runCommand(folder, { ...env, GUEST_MEMORY: String(4 << 20) });
  assert.deepEqual([status, stdout, cuts], [0, "2026-05-11/large-1.png\n", []], stderr);
  const [row] = await supabase.sql("select id from imagen.images where owner_user_id = $1", [id]);
  const beliefs = [{ ok: true, storagePath: "2026-05-11/large-1.png", imageId: row.id, sha256: sha256(large) }];
  const check = { url: supabase.url, serviceKey: supabase.serviceKey, beliefs, prefix: "2026-05-1" };
  const { problems, rows } = await verify(check);
  assert.deepEqual([problems, rows, large.length], [[], 1, SIZE]);
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
