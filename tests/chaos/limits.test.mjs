// The tests' own time limits: what hangs has to end, and to say what it waited for.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SUPPORT = new URL("../support/", import.meta.url);

/** Runs a test file of this text with limits of 50 ms, as suite.mjs does with its own. */
async function run(file) {
  const script = `
    import { limitEverything } from "${new URL("limits.mjs", SUPPORT)}";
    import { named, waitFor } from "${new URL("waiting.mjs", SUPPORT)}";
    limitEverything(() => "hanging.test.mjs", { test: 50, hook: 50 });
    const { after, before, beforeEach, test } = await import("node:test");
    const never = new Promise(() => {});
    setInterval(() => {}, 60_000).unref();
    ${file}`;
  return saidBy(["--input-type=module", "-e", script]);
}

async function saidBy(args, settings) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(process.execPath, ["--test-reporter=spec", ...args], { env: { ...env, ...settings } });
  const [said] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return said;
}

for (const hook of ["before", "after", "beforeEach"]) {
  test(`a_hook_that_hangs_is_given_up_and_named (${hook})`, async () => {
    const said = await run(`${hook}(() => never); test("a", () => {});`);
    assert.match(said, new RegExp(`waited 50 ms in vain for the ${hook} hook of hanging.test.mjs`));
  });
}

test("a_hook_with_a_time_of_its_own_has_that", async () => {
  const slow = "() => new Promise((done) => setTimeout(done, 200))";
  const said = await run(`before(${slow}, { timeout: 60_000 }); test("a", () => {});`);
  assert.match(said, /✔ a/);
});

test("a_test_that_hangs_is_given_up_and_tells_what_it_waited_for", async () => {
  const said = await run(`test("a", () => named("the server's word", never)); test("b", () => {});`);
  assert.match(said, /waited 50 ms in vain for the test "a" \(waited for meanwhile: the server's word\)/);
  assert.match(said, /✔ b/);
});

test("what_a_test_leaves_to_be_done_has_a_limit_too", async () => {
  const said = await run(`test("a", (t) => t.after(() => never)); test("b", () => {});`);
  assert.match(said, /waited 50 ms in vain for what the test "a" leaves to be done/);
  assert.match(said, /✔ b/);
});

test("a_wait_with_a_limit_of_its_own_is_named", async () => {
  const said = await run(`test("a", () => waitFor("the end of days", never, 5));`);
  assert.match(said, /waited 5 ms in vain for the end of days/);
});

test("a_file_of_a_suite_that_imports_the_runner_as_all_do_has_the_limits", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "imagen-limits-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "hanging.test.mjs");
  await writeFile(file, `import { test } from "node:test";\ntest("a", () => new Promise(() => {}));\n`);
  const suite = fileURLToPath(new URL("../suite.mjs", SUPPORT));
  const said = await saidBy([suite, file], { TEST_LIMITS_MS: JSON.stringify({ test: 50 }) });
  assert.match(said, /waited 50 ms in vain for the test "a"/);
});
