// The example in Rust as its README says: the library put into it, which makes one component.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compileService, testService } from "../component/service.mjs";
import { translate, witOf } from "../component/translate.mjs";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const run = promisify(execFile);
const COMPOSED = file("target/component/composed.wasm");
const sysroot = (await run(file(".tools/bin/rustc"), ["--print", "sysroot"])).stdout.trim();

if (existsSync(`${sysroot}/lib/rustlib/wasm32-wasip2`)) {
  testService(async () => {
    await run(file("scripts/component.sh"));
    const manifest = ["--manifest-path", file("tests/packaging/compose/Cargo.toml"), "--target-dir", file("target")];
    const files = [await compileService(), file("target/component/library.wasm"), COMPOSED];
    await run(file(".tools/bin/cargo"), ["run", "--locked", "--quiet", ...manifest, "--", ...files]);
    await translate(COMPOSED, "composed", file("target/component/composed"));
    return file("target/component/composed/composed.js");
  });
  test("put together with the library it is one component, which asks for nothing of ours", async () => {
    const wit = await witOf(COMPOSED);
    assert.doesNotMatch(wit, /import imagen:/);
    assert.match(wit, /import wasi:http\/outgoing-handler@/);
    assert.match(wit, /export wasi:http\/incoming-handler@/);
  });
} else {
  test("the composed service", { skip: "there is no standard library for wasm32-wasip2" });
}
