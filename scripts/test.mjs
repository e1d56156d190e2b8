// Runs the test suites one after another: `node scripts/test.mjs [NAME...]`.
// Each suite's output goes to target/test-logs/NAME.log; here it gets one line, or the log's end if it failed.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(root, ".tools/bin");
const logs = join(root, "target/test-logs");
const suiteLimitMs = 20 * 60_000;
const fileLimitMs = 5 * 60_000; // node --test applies its limit to a whole file too, so a leaked server can't hang it

// A suite: its command, and whether it has tests yet.
const suites = {
  rust: { command: ["cargo", "test", "--no-fail-fast"], exists: true },
  "browser-rust": {
    command: "wasm-pack test --headless --chrome --mode no-install --chromedriver .tools/bin/chromedriver".split(" "),
    exists: true,
  },
  vectors: folder("vectors"),
  package: folder("package"),
  types: folder("types"),
  supabase: folder("supabase"),
  integration: folder("integration"),
  worker: folder("worker"),
  page: folder("page"),
  firefox: folder("firefox"),
  outbox: folder("outbox"),
  large: folder("large"),
  chaos: folder("chaos"),
};

// The suite of tests/NAME: every *.test.mjs file in it, one file at a time since they start servers and browsers.
function folder(name) {
  const dir = join("tests", name);
  const files = existsSync(join(root, dir))
    ? readdirSync(join(root, dir), { recursive: true }).filter((file) => file.endsWith(".test.mjs"))
    : [];
  return {
    command: [
      "node",
      "--test",
      "--test-concurrency=1",
      `--test-timeout=${fileLimitMs}`,
      "--test-reporter=spec",
      ...files.sort().map((file) => join(dir, file)),
    ],
    exists: files.length > 0,
  };
}

const env = {
  ...process.env,
  PATH: `${tools}:${join(root, "node_modules/.bin")}:${process.env.PATH}`,
  CHROME: join(tools, "chromium"),
  CHROMEDRIVER: join(tools, "chromedriver"),
  FIREFOX: join(tools, "firefox"),
  NO_COLOR: "1",
  CARGO_TERM_COLOR: "never",
};
delete env.FORCE_COLOR;

const sum = (text, pattern) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);

// The single tests, as cargo test, wasm-pack and node --test count them.
function count(text) {
  return {
    passed: sum(text, /^test result: .*?(\d+) passed/gm) + sum(text, /^ℹ pass (\d+)$/gm),
    failed: sum(text, /^test result: .*?(\d+) failed/gm) + sum(text, /^ℹ (?:fail|cancelled) (\d+)$/gm),
    skipped: sum(text, /^test result: .*?(\d+) ignored/gm) + sum(text, /^ℹ (?:skipped|todo) (\d+)$/gm),
  };
}

let stop = () => {};
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    stop();
    process.exit(1);
  });
}

// Runs one command to its end, in a process group of its own so that nothing it started outlives it.
function run([program, ...args], log) {
  return new Promise((settle) => {
    const out = openSync(log, "w");
    const child = spawn(program, args, { cwd: root, env, detached: true, stdio: ["ignore", out, out] });
    closeSync(out);
    let ended = "";
    stop = () => {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // the group is gone already
      }
    };
    const limit = setTimeout(() => {
      ended = `stopped after ${suiteLimitMs / 60_000} minutes`;
      stop();
    }, suiteLimitMs);
    const end = (how) => {
      clearTimeout(limit);
      if (child.pid) stop();
      stop = () => {};
      settle(ended || how);
    };
    child.on("error", (error) => end(`cannot run ${program}: ${error.message}`));
    child.on("exit", (code, signal) => end(code === 0 ? "" : `ended with ${signal ?? `status ${code}`}`));
  });
}

const names = process.argv.slice(2);
const unknown = names.filter((name) => !suites[name]);
if (unknown.length > 0) {
  console.error(`test: no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

mkdirSync(logs, { recursive: true });
const total = { passed: 0, failed: 0, skipped: 0 };
const failedSuites = [];
for (const name of names.length > 0 ? names : Object.keys(suites)) {
  const suite = suites[name];
  if (!suite.exists) {
    // No failure, unless it was asked for.
    if (names.includes(name)) {
      console.log(`test: ${name.padEnd(13)} has no tests`);
      failedSuites.push(name);
      total.failed += 1;
    }
    continue;
  }
  const log = join(logs, `${name}.log`);
  const started = Date.now();
  process.stdout.write(`test: ${name.padEnd(13)} `);
  let problem = await run(suite.command, log);
  const text = readFileSync(log, "utf8");
  const counted = count(text);
  if (!problem && counted.failed > 0) problem = "has failed tests";
  if (!problem && counted.passed + counted.skipped === 0) problem = "ran no test";
  if (problem && counted.failed === 0) counted.failed = 1;
  for (const key of Object.keys(total)) total[key] += counted[key];

  const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : "";
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${counted.passed} passed, ${counted.failed} failed${skipped} in ${seconds} s`);
  if (problem) {
    failedSuites.push(name);
    for (const line of text.trimEnd().split("\n").slice(-80)) console.log(line.slice(0, 500));
    console.log(`test: ${name} ${problem}; the whole log: ${log}`);
  }
}

if (failedSuites.length > 0) console.log(`test: failed: ${failedSuites.join(", ")}`);
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exitCode = failedSuites.length > 0 ? 1 : 0;
