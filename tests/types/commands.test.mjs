// The commands that the pages tell to type are there, with the options and files that they name.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { PATHS } from "../../docs/site/pages.mjs";

const ROOT = new URL("../../", import.meta.url);
const top = (await readdir(ROOT)).filter((name) => name.endsWith(".md") && name !== "CHANGELOG.md");
const PAGES = [...new Set([...top, ...PATHS.keys(), "pkg/README.md", "fuzz/README.md", "www/worker/README.md"])];

/** What a page has as code: its shell's lines, without their comments, and what stands between backticks. */
const typed = [];
for (const page of PAGES.filter((name) => name.endsWith(".md"))) {
  const text = await readFile(new URL(page, ROOT), "utf8");
  for (const [, lines] of text.matchAll(/^ *```sh\n(.*?)^ *```/gms)) {
    const whole = lines.replaceAll("\\\n", " ").split("\n");
    typed.push(...whole.map((line) => ({ page, line: line.replace(/(^| )#.*/, "").trim() })));
  }
  for (const [, line] of text.replaceAll(/^ *```.*?^ *```/gms, "").matchAll(/`([^`]+)`/g)) typed.push({ page, line });
}

test("every_make_target_that_a_page_names_is_there", async () => {
  const targets = [...(await readFile(new URL("Makefile", ROOT), "utf8")).matchAll(/^([a-z-]+):/gm)].map(
    ([, one]) => one,
  );
  const asked = typed.flatMap(({ page, line }) => {
    const [, target] = /^(?:\w+=\S+ )*make ([a-z-]+)/.exec(line) ?? [];
    return target ? [{ page, target }] : [];
  });
  assert.ok(asked.length > 30, `${asked.length}`);
  assert.deepEqual(
    asked.filter(({ target }) => !targets.includes(target)),
    [],
  );
});

test("every_option_of_the_packages_command_that_a_page_names_is_in_its_help", async () => {
  const cli = fileURLToPath(new URL("pkg/cli.js", ROOT));
  const { stdout: help } = await promisify(execFile)(process.execPath, [cli, "doctor", "--help"]);
  const asked = typed.filter(({ line }) =>
    /^npx (?!--no-install )\S*imagen-cloud|npx --no-install imagen-cloud/.test(line),
  );
  assert.ok(asked.length > 5, `${asked.length}`);
  for (const { page, line } of asked) {
    const [, command, options] = /npx --no-install imagen-cloud (doctor|migration)\b([^>|]*)/.exec(line) ?? [];
    assert.ok(command, `${page}: ${line}`);
    for (const [option] of options.matchAll(/--[a-z-]+/g)) assert.ok(help.includes(option), `${page}: ${line}`);
  }
  const doctorsPage = await readFile(new URL("docs/doctor.md", ROOT), "utf8");
  for (const [, option] of doctorsPage.matchAll(/`(--[a-z-]+)`/g)) {
    assert.ok(help.includes(option) || option === "--no-install", option);
  }
});

test("every_file_of_this_repository_that_a_command_runs_is_there", async () => {
  const files = typed.flatMap(({ page, line }) =>
    [...line.matchAll(/(?:^|\s)(?:node|bash) ((?:supabase|scripts|tests|benches|docs|www)\/[\w./-]+\.\w+)/g)].map(
      ([, file]) => ({
        page,
        file,
      }),
    ),
  );
  assert.ok(files.length > 4, `${files.length}`);
  for (const { page, file } of files) await assert.doesNotReject(access(new URL(file, ROOT)), `${page}: ${file}`);
});
