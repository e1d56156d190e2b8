// The built site as readers get it. `make docs` builds it first, and looks for dead links.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SECTIONS } from "../../docs/site/pages.mjs";
import { startBrowser } from "../support/browser.mjs";
import { startSite } from "../support/site.mjs";

const AXE = new URL("../../node_modules/axe-core/axe.min.js", import.meta.url);
const SCREENSHOTS = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const SIZES = [
  [1280, 900],
  [390, 844],
];

let site;
let browser;
before(async () => {
  [site, browser] = await Promise.all([startSite({ "/": "target/docs" }), startBrowser()]);
  await mkdir(SCREENSHOTS, { recursive: true });
});
after(() => Promise.all([site?.close(), browser?.close()]));

for (const name of ["index", "reference", "api/interfaces/SinkOptions"]) {
  test(`everybody can read ${name}, in light and dark, on a screen and a phone`, async (t) => {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(t, `${name}.html`, { colorScheme, reducedMotion: "reduce" });
      for (const [width, height] of SIZES) {
        await page.setViewportSize({ width, height });
        await page.screenshot({ path: `${SCREENSHOTS}docs-${name.replaceAll("/", "-")}-${width}-${colorScheme}.png` });
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${overflow} px too wide at ${width}`);
        assert.deepEqual(await barriers(page), [], `${colorScheme}, ${width}`);
      }
    }
  });
}

test("no page keeps readers out, or is wider than a phone", async (t) => {
  const page = await open(t, "index.html", { reducedMotion: "reduce" });
  const pages = SECTIONS.flatMap((section) => section.pages.map(({ path }) => path.replace(/\.md$/, ".html")));
  assert.ok(pages.length > 20, `${pages}`);
  for (const path of pages) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${site.url}/${path}`);
    await page.locator("h1").first().waitFor();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${path}: ${overflow} px too wide`);
    assert.deepEqual(await barriers(page), [], path);
  }
});

test("the search finds a word of a page, without asking anybody", async (t) => {
  const page = await open(t, "index.html");
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).origin));
  await page.getByRole("button", { name: "Search" }).first().click();
  await page.getByRole("searchbox").fill("schema_not_exposed");
  await page.locator(".VPLocalSearchBox a[href*='/errors.html']").first().waitFor();
  assert.deepEqual([...new Set(asked)], [site.url]);
});

async function open(t, path, options) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${site.url}/${path}`);
  await page.locator("h1").first().waitFor();
  return page;
}

/** What axe-core finds serious, or worse. */
async function barriers(page) {
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 150)).join(" ; ")}`);
}
