// Whether this commit could be released. `make release-check`; RELEASE=1 also asks for what only a release has: a day in the
// changelog, a committed tree, and a tag of this version.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { changelogFaults, disagreeing, namedVersions } from "./versions.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
const isRelease = Boolean(process.env.RELEASE);
const git = async (...args) => (await run("git", args, { cwd: ROOT })).stdout.trim();

const versions = await namedVersions();
const version = versions.get("pkg/package.json");

/** Each by its name: what is wrong, as texts. */
const checks = {
  "one version everywhere": () => disagreeing(versions),
  "the changelog has it": async () =>
    changelogFaults(await readFile(path.join(ROOT, "CHANGELOG.md"), "utf8"), version, isRelease),
  "the tarball's contents": () => succeeds(process.execPath, "--test", "tests/package/contents.test.mjs"),
  "npm would publish it": publishes,
  "the same commit gives the same files": buildsAlike,
  ...(isRelease ? { "the commit is what is here, and has the tag": isTagged } : {}),
};

const failed = [];
for (const [name, check] of Object.entries(checks)) {
  const faults = await check();
  console.log(`release: ${name}: ${faults.length === 0 ? "ok" : faults.join("; ")}`);
  if (faults.length > 0) failed.push(name);
}
console.log(failed.length === 0 ? `release: ${version} can go` : `release: ${version} can't go: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function succeeds(...command) {
  const [program, ...args] = command;
  return run(program, args, { cwd: ROOT }).then(
    () => [],
    ({ stdout, stderr }) => [`${stdout}${stderr}`.trim().split("\n").slice(-20).join("\n")],
  );
}

/** A dry run, in which npm says what it would have to correct. */
async function publishes() {
  try {
    const { stderr } = await run("npm", ["publish", "./pkg", "--dry-run"], { cwd: ROOT });
    return stderr.split("\n").filter((line) => /auto-corrected|was invalid|errors? corrected/.test(line));
  } catch (error) {
    return [error.stderr];
  }
}

/** The last commit, built twice, each time from nothing and in another folder. */
async function buildsAlike() {
  // Somebody may commit while this goes on, for minutes.
  const commit = await git("rev-parse", "HEAD");
  const [first, second] = [await buildElsewhere(commit), await buildElsewhere(commit)];
  const names = new Set([...first.keys(), ...second.keys()]);
  return [...names].filter((name) => first.get(name) !== second.get(name)).map((name) => `${name} differs`);
}

/** The SHA-256 of every file that a build of a commit makes, by its name. */
async function buildElsewhere(commit) {
  const folder = await mkdtemp(path.join(tmpdir(), "imagen-build-"));
  try {
    await run("git", ["clone", "--quiet", "--shared", "--no-checkout", ROOT, folder]);
    await run("git", ["checkout", "--quiet", "--detach", commit], { cwd: folder });
    for (const tools of [".tools", "node_modules"]) await symlink(path.join(ROOT, tools), path.join(folder, tools));
    const { CARGO_TARGET_DIR: _, ...env } = process.env;
    await run("bash", ["scripts/build.sh"], { cwd: folder, env, maxBuffer: 2 ** 24 });
    const made = path.join(folder, "pkg/wasm");
    const entries = await readdir(made, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    const hash = async (file) =>
      createHash("sha256")
        .update(await readFile(file))
        .digest("hex");
    return new Map(await Promise.all(files.map(async (file) => [path.relative(made, file), await hash(file)])));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function isTagged() {
  const faults = [];
  if (await git("status", "--porcelain")) faults.push("there are changes that are not committed");
  const tags = (await git("tag", "--points-at", "HEAD")).split("\n");
  if (!tags.includes(`v${version}`)) faults.push(`no tag v${version}`);
  return faults;
}
