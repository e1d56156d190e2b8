// Runs the test suites: `node scripts/test.mjs [NAME...]`, twice as many at once as there are cores, JOBS=1 for one by one.
// Each suite's output goes to target/test-logs/NAME.log; here it gets one line, or the log's end if it failed.
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPostgres } from "../tests/support/postgres.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tools = join(root, ".tools/bin");
const logs = join(root, "target/test-logs");
const suiteLimitMs = 20 * 60_000;

// A suite waits for half of its time, for servers, browsers and clocks; more than this many only take each other's.
const jobs = Number(process.env.JOBS || Math.min(2 * availableParallelism(), 5));
if (!Number.isInteger(jobs) || jobs < 1) {
  console.error(`test: JOBS=${process.env.JOBS} is no number of suites`);
  process.exit(2);
}

// A suite: its command, whether it has tests yet, whether it shows the web app, and whether its tests measure time: then all
// others let it go first. The longest begin first, so that none is left at the end, and the longest of all is two. What compiles
// on all cores is not beside the other that does.
const suites = {
  rust: { command: ["cargo", "test", "--locked", "--no-fail-fast", "--features", "internals"], exists: true },
  worker: folder("worker"),
  "page-1": { ...folder("page", 1), needsApp: true },
  outbox: folder("outbox"),
  package: folder("package"),
  "page-2": { ...folder("page", 2), needsApp: true },
  webkit: { ...folder("webkit"), needsApp: true },
  component: component(),
  large: folder("large"),
  integration: folder("integration"),
  supabase: folder("supabase"),
  firefox: { ...folder("firefox"), needsApp: true },
  timed: { ...folder("timed"), goesFirst: true },
  chaos: folder("chaos"),
  "browser-rust": {
    // Without --locked, which wasm-pack hands on to the tests' runner; clippy holds cargo to its lock file.
    command:
      "wasm-pack test --headless --chrome --mode no-install --chromedriver .tools/bin/chromedriver -- --features internals".split(
        " ",
      ),
    exists: true,
  },
  react: folder("react"),
  types: folder("types"),
  vectors: folder("vectors"),
};

// A name stands for both halves, too.
const halvesOf = (name) => [`${name}-1`, `${name}-2`].filter((half) => suites[half]);
const names = process.argv.slice(2).flatMap((name) => (halvesOf(name).length > 0 ? halvesOf(name) : name));
const unknown = names.filter((name) => !suites[name]);
if (unknown.length > 0) {
  console.error(`test: no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

// The suite of tests/NAME: every *.test.mjs file in it, one at a time since they start servers and browsers; or each second one.
function folder(name, half) {
  const dir = join("tests", name);
  const files = existsSync(join(root, dir))
    ? readdirSync(join(root, dir), { recursive: true }).filter((file) => file.endsWith(".test.mjs"))
    : [];
  const chosen = files.sort().filter((_, index) => half === undefined || index % 2 === half - 1);
  return {
    command: ["node", "--test-reporter=spec", "tests/suite.mjs", ...chosen.map((file) => join(dir, file))],
    exists: chosen.length > 0,
  };
}

// The component is built by its own suite, beside the others. scripts/bootstrap.sh has said so where it can't be built.
function component() {
  const { command, exists } = folder("component");
  const sysroot = execFileSync(join(tools, "rustc"), ["--print", "sysroot"], { encoding: "utf8" }).trim();
  const canBuild = existsSync(join(sysroot, "lib/rustlib/wasm32-wasip2"));
  return { command: ["bash", "-c", 'scripts/component.sh && exec "$0" "$@"', ...command], exists: exists && canBuild };
}

const env = {
  ...process.env,
  PATH: `${tools}:${join(root, "node_modules/.bin")}:${process.env.PATH}`,
  CHROME: [join(tools, "chromium-headless-shell"), join(tools, "chromium")].find((file) => existsSync(file)),
  CHROMEDRIVER: join(tools, "chromedriver"),
  FIREFOX: join(tools, "firefox"),
  WEBKIT: join(tools, "MiniBrowser"),
  WEBKIT_DRIVER: join(tools, "WebKitWebDriver"),
  NO_COLOR: "1",
  CARGO_TERM_COLOR: "never",
  // What is compiled once and thrown away needs no notes for the next time.
  ...(process.env.CI && { CARGO_INCREMENTAL: "0" }),
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

// Profiles, databases and images, some 400 MB at once, for minutes: in memory where there is room, and gone with the run.
const MEMORY = "/dev/shm";
const ROOM_BYTES = 2 * 1024 ** 3;

function hasRoom(folder) {
  if (!existsSync(folder)) return false;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize >= ROOM_BYTES;
}

const scratch = mkdtempSync(join(hasRoom(MEMORY) ? MEMORY : tmpdir(), "imagen-tests-"));
chmodSync(scratch, 0o755); // PostgreSQL runs as another user
env.TMPDIR = process.env.TMPDIR = scratch;

// One PostgreSQL for all suites, with a database for each Supabase that a test starts: quicker by half than a PGlite each,
// and many connections at once, as in earnest. What is about PGlite says so, see tests/supabase and tests/integration.
const database = env.IMAGEN_TEST_DATABASE_URL ? undefined : await startPostgres();
env.IMAGEN_TEST_DATABASE_URL ||= database.url;

async function tidyUp() {
  await database?.close();
  rmSync(scratch, { recursive: true, force: true, maxRetries: 3 });
}

/** The process groups that are running. */
const running = new Set();

function stop(group) {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // the group is gone already
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, async () => {
    for (const group of running) stop(group);
    await tidyUp();
    process.exit(1);
  });
}

// Runs one command to its end, in a process group of its own so that nothing it started outlives it.
function run([program, ...args], log) {
  return new Promise((settle) => {
    const out = openSync(log, "w");
    const child = spawn(program, args, { cwd: root, env, detached: true, stdio: ["ignore", out, out] });
    closeSync(out);
    if (child.pid) running.add(child.pid);
    let ended = "";
    const limit = setTimeout(() => {
      ended = `stopped after ${suiteLimitMs / 60_000} minutes`;
      stop(child.pid);
    }, suiteLimitMs);
    const end = (how) => {
      clearTimeout(limit);
      if (child.pid) stop(child.pid);
      running.delete(child.pid);
      settle(ended || how);
    };
    child.on("error", (error) => end(`cannot run ${program}: ${error.message}`));
    child.on("exit", (code, signal) => end(code === 0 ? "" : `ended with ${signal ?? `status ${code}`}`));
  });
}

/** The web app, which several suites show and none may find half-built; where it can't be built they say why. */
let app;
const buildApp = () =>
  run(["node", "-e", 'import("./www/local/app.mjs").then((app) => app.buildApp())'], join(logs, "app.log"));

mkdirSync(logs, { recursive: true });
const total = { passed: 0, failed: 0, skipped: 0 };
const failedSuites = [];
const begun = Date.now();
const secondsSince = (start) => `${((Date.now() - start) / 1000).toFixed(1)} s`;

async function runSuite(name) {
  const suite = suites[name];
  if (!suite.exists) {
    // No failure, unless it was asked for.
    if (names.includes(name)) {
      console.log(`test: ${name.padEnd(13)} has no tests`);
      failedSuites.push(name);
      total.failed += 1;
    }
    return;
  }
  const log = join(logs, `${name}.log`);
  const started = Date.now();
  if (suite.needsApp) {
    app ??= buildApp();
    await app;
  }
  let problem = await run(suite.goesFirst ? suite.command : ["nice", "-n", "15", ...suite.command], log);
  const text = readFileSync(log, "utf8");
  const counted = count(text);
  if (!problem && counted.failed > 0) problem = "has failed tests";
  if (!problem && counted.passed + counted.skipped === 0) problem = "ran no test";
  if (problem && counted.failed === 0) counted.failed = 1;
  for (const key of Object.keys(total)) total[key] += counted[key];

  const skipped = counted.skipped > 0 ? `, ${counted.skipped} skipped` : "";
  console.log(
    `test: ${name.padEnd(13)} ${counted.passed} passed, ${counted.failed} failed${skipped} in ${secondsSince(started)}`,
  );
  if (problem) {
    failedSuites.push(name);
    for (const line of text.trimEnd().split("\n").slice(-80)) console.log(line.slice(0, 500));
    console.log(`test: ${name} ${problem}; the whole log: ${log}`);
  }
}

const chosen = names.length > 0 ? [...new Set(names)] : Object.keys(suites);
const lane = async () => {
  while (chosen.length > 0) await runSuite(chosen.shift());
};
await Promise.all(Array.from({ length: jobs }, lane));
await tidyUp();

if (failedSuites.length > 0) console.log(`test: failed: ${failedSuites.join(", ")}`);
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`test: all of it in ${secondsSince(begun)}`);
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = failedSuites.length > 0 ? 1 : 0;
