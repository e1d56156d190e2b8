// The pages' links: to files that are there, and to headings that they have.
import assert from "node:assert/strict";
import { access, readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { PATHS } from "../../docs/site/pages.mjs";

const ROOT = new URL("../../", import.meta.url);
const markdown = async (folder) => (await readdir(new URL(folder, ROOT))).filter((name) => name.endsWith(".md"));
const PAGES = [
  ...(await markdown("./")),
  ...(await markdown("docs/")).map((name) => `docs/${name}`),
  ...[...PATHS.keys()].filter((page) => page.startsWith("examples/")),
  "pkg/README.md",
  "fuzz/README.md",
  "www/worker/README.md",
];

/** What GitHub makes of a heading. */
const anchor = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\- ]/gu, "")
    .trim()
    .replaceAll(" ", "-");

for (const page of PAGES) {
  test(`${page} links to what is there`, async () => {
    const text = await readFile(new URL(page, ROOT), "utf8");
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const target = new URL(link, new URL(page, ROOT));
      const hash = target.hash.slice(1);
      target.hash = "";
      await assert.doesNotReject(access(target), link);
      if (!hash) continue;
      const headings = [...(await readFile(target, "utf8")).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        anchor(heading),
      );
      assert.ok(headings.includes(hash), link);
    }
  });
}

test("the_readme_names_the_two_commands_on_its_first_screen_and_fits_200_lines", async () => {
  const lines = (await readFile(new URL("README.md", ROOT), "utf8")).trimEnd().split("\n");
  assert.ok(lines.length <= 200, `${lines.length} lines`);
  for (const command of ["make demo", "make test"]) {
    assert.ok(
      lines.slice(0, 15).some((line) => line.startsWith(command)),
      command,
    );
  }
});

test("the_readme_leads_to_every_page_of_docs", async () => {
  const readme = await readFile(new URL("README.md", ROOT), "utf8");
  for (const page of await markdown("docs/")) assert.ok(readme.includes(`](docs/${page})`), page);
});
