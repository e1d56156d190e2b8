// The components in wasmtime, as Python's package brings it. scripts/bootstrap.sh has said so where there is none.
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
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
} else {
  test("the components in wasmtime", { skip: "there is no Python with a package of wasmtime" });
}
