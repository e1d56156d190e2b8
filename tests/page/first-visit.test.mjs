// Who comes for the first time: what is loaded, and the whole way by keyboard alone.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { until } from "../support/until.mjs";
import { barriers, enter, installClock, PICTURE_SIDE, press, screenshot, send, startSite } from "./support.mjs";

const BUDGET = JSON.parse(await readFile(new URL("../../size-budget.json", import.meta.url), "utf8")).app;
/** What is loaded when it is asked for, and not before. */
const ON_DEMAND = /^\/assets\/(dialog|doctor|metadata|panel|plain|realtime)-/;
/** What is not the page's own code: pictures, fonts and the map that a browser asks for when it is looked into. */
const IS_COUNTED = /\.(js|css|html|wasm)$/;

let site;
before(async () => {
  site = await startSite({ pictureSide: PICTURE_SIDE, breakIt: true });
});
after(() => site?.close());

/** The paths of the page's own files that a visitor's page has loaded, in their order. */
async function visit() {
  const page = await site.openPage();
  const paths = new Set();
  page.on("response", (answer) => {
    const { origin, pathname } = new URL(answer.url());
    if (origin === site.web.url) paths.add(pathname === "/" ? "/index.html" : pathname);
  });
  await page.reload();
  return { page, paths };
}

/** What they would be on a host that compresses, in bytes. */
const sizeOf = (paths) =>
  [...paths]
    .filter((path) => IS_COUNTED.test(path))
    .reduce((sum, path) => sum + brotliCompressSync(site.web.files.get(path)).length, 0);

test("a first visit loads what it needs, within its budget, and the rest on demand", async () => {
  const { page, paths } = await visit();
  await page.locator("#welcome-canvas").waitFor();
  await page.waitForLoadState("networkidle");
  const welcome = sizeOf(paths);
  assert.ok(welcome <= BUDGET.welcome, `${welcome} bytes, ${welcome - BUDGET.welcome} more than allowed`);

  await enter(page);
  await send(page, { prompt: "a first one" });
  await page.waitForLoadState("networkidle");
  const first = sizeOf(paths);
  assert.ok(first <= BUDGET["first picture"], `${first} bytes, ${first - BUDGET["first picture"]} more than allowed`);
  console.log(`to the welcome ${welcome} bytes, to the first picture ${first}`);
  const onDemand = () => [...paths].filter((path) => ON_DEMAND.test(path)).map((path) => ON_DEMAND.exec(path)[1]);
  assert.deepEqual(onDemand(), []);

  const file = new URL("../data/lighthouse.png", import.meta.url);
  await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: await readFile(file) });
  await until(() => onDemand().includes("metadata"), "what reads a file");
  await page.getByRole("button", { name: "Open the panel" }).click();
  await page.locator("#break-panel").waitFor();
  assert.deepEqual([...new Set(onDemand())].sort(), ["metadata", "panel"]);
  // Each is a file of the build: a name that never comes would be no test.
  const names = [...site.web.files.keys()].map((path) => ON_DEMAND.exec(path)?.[1]).filter(Boolean);
  assert.deepEqual([...new Set(names)].sort(), ["dialog", "doctor", "metadata", "panel", "plain", "realtime"]);
});

test("from the first visit to a deletion by keyboard alone", async () => {
  const page = await site.openPage();
  await installClock(page);
  await page.locator("#demo").waitFor();
  await tabTo(page, "#demo");
  await page.keyboard.press("Enter");
  await page.locator("#gallery-empty").waitFor();
  await tabTo(page, "#prompt");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("made without a mouse");
  await tabTo(page, "#send");
  await page.keyboard.press("Enter");
  const tile = page.locator("#grid button", { hasText: "made without a mouse" });
  await tile.waitFor();
  await tabTo(page, "#grid button");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "made without a mouse" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await tabTo(page, "#delete");
  await page.keyboard.press("Enter");
  await page.locator("#removed").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Undo");
  assert.deepEqual(await barriers(page), []);
  await tile.waitFor({ state: "detached" });
  // The time in which it could be undone.
  await page.clock.fastForward(8_000);
  await until(async () => (await site.rowsOf(page)).length === 0, "the row to go");
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
});

test("in forced colours bars, switches and stops have borders, and nothing is out of reach", async () => {
  const page = await site.openPage();
  await page.emulateMedia({ forcedColors: "active" });
  await page.getByRole("button", { name: "Watch it survive" }).click();
  await page.locator("#break-panel").waitFor();
  const hold = site.recorder.hold({ method: "PUT", image: "a-bar", at: "request" });
  await press(page, { prompt: "a bar" });
  await hold.reached;
  const hasBorder = (selector) =>
    page.waitForFunction((of) => {
      const element = document.querySelector(of);
      return element && getComputedStyle(element).borderTopWidth === "1px";
    }, selector);
  await hasBorder("#jobs progress");
  await hasBorder("#fault-offline");
  await hasBorder(".idea");
  await screenshot(page, "forced-colors", { fullPage: false });
  // The system's own colours are not the page's to judge, and a checker reads those they replace.
  const found = await barriers(page);
  assert.deepEqual(
    found.filter((barrier) => !barrier.startsWith("color-contrast")),
    [],
  );
  hold.release();
  await page.locator("#grid li", { hasText: "a bar" }).waitFor();
});

/** Presses Tab until the keyboard is at an element that fits. */
async function tabTo(page, selector) {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((of) => document.activeElement.matches(of), selector)) return;
  }
  assert.fail(`${selector} can't be reached by Tab`);
}
