// What a release goes by. `make release-check` looks at the rest, which takes longer.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { parse } from "smol-toml";
import { changelogFaults, disagreeing, namedVersions } from "../../scripts/versions.mjs";

const ROOT = new URL("../../", import.meta.url);
const source = (path) => readFile(new URL(path, ROOT), "utf8");

test("the_version_is_one_everywhere", async () => {
  const versions = await namedVersions();
  assert.ok(versions.size > 8, `${versions.size} files`);
  assert.deepEqual(disagreeing(versions), []);
  assert.deepEqual(disagreeing(versions.set("Cargo.toml", "9.9.9")), ["Cargo.toml has 9.9.9"]);
});

test("the_changelog_has_the_version_and_at_a_release_its_day", async () => {
  const version = (await namedVersions()).get("pkg/package.json");
  assert.deepEqual(changelogFaults(await source("CHANGELOG.md"), version, false), []);
  const written = (day, later = "") =>
    `# Changelog\n\n## [Unreleased]\n${later}\n## [1.2.3] - ${day}\n\n### Added\n\n- It.\n`;
  assert.deepEqual(changelogFaults(written("2026-12-01"), "1.2.3", true), []);
  assert.match(changelogFaults(written("unreleased"), "1.2.3", true)[0], /no day/);
  assert.match(changelogFaults(written("2026-12-01", "\n- More.\n"), "1.2.3", true)[0], /\[Unreleased\]/);
  assert.match(changelogFaults(written("2026-12-01"), "1.2.4", false)[0], /there is no/);
});

test("the_workflows_only_call_targets_of_make", async () => {
  const targets = [...(await source("Makefile")).matchAll(/^([a-z-]+):.*##/gm)].map(([, target]) => target);
  for (const file of await readdir(new URL(".github/workflows/", ROOT))) {
    const workflow = await source(`.github/workflows/${file}`);
    const [, listed = ""] = /target: \[(.*)\]/.exec(workflow) ?? [];
    const commands = [...workflow.matchAll(/\brun: (.*)/g)].map(([, command]) => command);
    assert.ok(commands.length > 0, file);
    for (const command of commands) {
      const [, target] = /^make (\$\{\{ matrix\.target \}\}|[a-z-]+)(?: [A-Z]+=\w+)*$/.exec(command) ?? [];
      assert.ok(target, `${file}: ${command}`);
      for (const each of target.startsWith("$") ? listed.split(", ") : [target])
        assert.ok(targets.includes(each), each);
    }
  }
});

test("rustup_brings_what_the_bootstrap_looks_for", async () => {
  const { toolchain } = parse(await source("rust-toolchain.toml"));
  const [, target] = /^target=(.*)$/m.exec(await source("scripts/bootstrap.sh"));
  assert.deepEqual(toolchain.targets, [target]);
});

test("no_manifest_names_an_owner_that_nobody_has_chosen", async () => {
  for (const path of ["package.json", "pkg/package.json", "www/app/package.json", "www/worker/package.json"]) {
    const { repository, bugs, homepage, author } = JSON.parse(await source(path));
    assert.deepEqual(
      { repository, bugs, homepage, author },
      Object.fromEntries(["repository", "bugs", "homepage", "author"].map((name) => [name, undefined])),
      path,
    );
  }
  assert.equal(parse(await source("Cargo.toml")).package.repository, undefined);
});
