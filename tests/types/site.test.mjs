// The documentation's site has all that the repository has for readers. `make docs` builds it.
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { PATHS, SECTIONS } from "../../docs/site/pages.mjs";

const ROOT = new URL("../../", import.meta.url);
const markdown = async (folder) => (await readdir(new URL(folder, ROOT))).filter((name) => name.endsWith(".md"));

test("the_site_lists_every_page", async () => {
  const pages = [...(await markdown("./")), ...(await markdown("docs/")).map((name) => `docs/${name}`)];
  const examples = (await readdir(new URL("examples/", ROOT), { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `examples/${name}/README.md`);
  const all = [...pages, "www/worker/README.md", "examples/README.md", ...examples];
  assert.deepEqual([...PATHS.keys()].sort(), all.sort());
});

test("no_two_pages_of_the_site_have_one_place_or_name", () => {
  const pages = SECTIONS.flatMap((section) => section.pages);
  for (const field of ["path", "text"]) assert.equal(new Set(pages.map((page) => page[field])).size, pages.length);
});
