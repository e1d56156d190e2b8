// What the page looks like, wide and narrow, light and dark: kept in target/screenshots for people to look at, and
// here checked for what can be measured.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { exifOf, jpegWith } from "../support/metadata.mjs";
import { barriers, holdUndo, job, press, retry, screenshot, send, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite({ pictureSide: 512 });
  page = await site.openPage();
});
after(() => site?.close());

const PROMPTS = ["snow over a fjord", "pine forest at dawn", "desert sunset", "cherry blossoms by the bay"];
const SIZES = [
  [1280, 900],
  [390, 844],
];

/** Wide and narrow, light and dark: nothing is cut off, and nothing keeps anybody out. */
async function look(name, options) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await screenshot(page, `${name}-${width}-${colorScheme}`, options);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} px too wide at ${width}`);
    }
    assert.deepEqual(await barriers(page), [], `${name}, ${colorScheme}`);
  }
  const [width, height] = SIZES[0];
  await page.setViewportSize({ width, height });
}

test("the welcome, whose loop moves only for who wants that", async () => {
  await page.getByRole("heading", { level: 1, name: /arrive/ }).waitFor();
  await look("welcome");
  const loop = page.getByRole("img", { name: /An answer is lost on the way; it is tried again, and arrives once/ });
  const moves = () => loop.evaluate((element) => element.getAnimations({ subtree: true }).length);
  assert.equal(await moves(), 0);
  await loop.getByText("Arrived once, after 2 tries.").waitFor();
  await page.emulateMedia({ reducedMotion: "no-preference" });
  assert.ok((await moves()) > 0);
  // The loss is shown, in the middle of it.
  await page.evaluate(() => {
    for (const one of document.getAnimations()) {
      one.pause();
      one.currentTime = 3400;
    }
  });
  const shown = await loop.locator("p").evaluateAll((all) => all.map((one) => getComputedStyle(one).opacity));
  assert.deepEqual(shown, ["0", "1", "0", "0"]);
  await screenshot(page, "welcome-loss", { fullPage: false });
  await page.emulateMedia({ reducedMotion: "reduce" });
});

test("everything can be reached and used by keyboard alone", async () => {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "email");
  await page.getByRole("button", { name: "Try it as a demo user" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#gallery-empty").waitFor();
  await look("empty");
  await page.locator("#prompt").focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("moon on a lake");
  await page.locator("input[value=direct]").focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.locator("input[value=worker]").isChecked(), true);
  await page.keyboard.press("Enter");
  await page.locator("#arrival").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.value), "worker");
});

test("pictures that arrived, and one's details", async () => {
  for (const [i, prompt] of PROMPTS.entries()) await send(page, { prompt, seed: String(i + 1) });
  await page.locator(`#grid li:nth-child(${PROMPTS.length + 1}) img`).waitFor();
  await look("arrived");
  await page.locator("#grid").getByRole("button", { name: PROMPTS[1] }).click();
  await page.getByRole("dialog").waitFor();
  await look("dialog", { fullPage: false });
  await page.emulateMedia({ forcedColors: "active" });
  const edge = await page.getByRole("dialog").evaluate((dialog) => getComputedStyle(dialog).borderTopWidth);
  assert.equal(edge, "1px", "where the page behind has the same colour, a dialog has an edge");
  await page.emulateMedia({ forcedColors: "none" });
  await page.evaluate(holdUndo);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator("#removed").waitFor();
  await screenshot(page, "deleted", { fullPage: false });
  await page.setViewportSize({ width: 390, height: 844 });
  await screenshot(page, "deleted-390", { fullPage: false });
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.getByRole("button", { name: "Undo" }).click();
  assert.deepEqual(page.complaints, []);
});

test("a file that says what made it and where", async () => {
  const infotext = "a fox in snow\nSteps: 28, Sampler: Euler a, Seed: 9007199254740993, Size: 8x8, Model: dream-xl";
  const exif = exifOf({ comment: infotext, place: { latitude: 52.5163, longitude: 13.3777 } });
  const photo = await readFile(new URL("../data/lighthouse.jpg", import.meta.url));
  await page.locator("#file").setInputFiles([{ name: "p.jpg", mimeType: "image/jpeg", buffer: jpegWith(photo, exif) }]);
  await page.getByText("as A1111 wrote it").waitFor();
  await look("file");
  await page.getByRole("button", { name: "Back to drawing" }).click();
});

test("several files that were chosen together, and some that were left out", async () => {
  const types = ["png", "jpg", "webp", "gif", "avif"];
  const files = types.map((type) => fileURLToPath(new URL(`../data/lighthouse.${type}`, import.meta.url)));
  await page.locator("#file").setInputFiles(files);
  const buffer = Buffer.from("milk, bread");
  await page.locator("#file").setInputFiles([{ name: "notes.txt", mimeType: "text/plain", buffer }]);
  await page.locator("#skipped").getByText("One file was left out").waitFor();
  await look("batch");
  await press(page);
  await page.locator("#batch-title").getByText("5 of 5 pictures arrived").waitFor();
  await look("batch-arrived");
  await page.getByRole("button", { name: "Back to drawing" }).click();
});

test("an outbox with one on its way, one refused, one waiting", async () => {
  const refusal = { statusCode: "413", error: "Payload too large", message: "The object exceeded the maximum size" };
  const accept = site.recorder.answer({ method: "PUT", image: "volcano", status: 400, body: refusal });
  const headers = { "retry-after": "90", "access-control-expose-headers": "retry-after" };
  const recover = site.recorder.answer({ method: "PUT", image: "aurora", status: 503, headers, body: {} });
  await press(page, { prompt: "a volcano in autumn", route: "direct" });
  await job(page, "volcano").getByRole("button", { name: "Retry" }).waitFor();
  await press(page, { prompt: "aurora over a very long mountain range that does not end" });
  await job(page, "aurora").getByText("Tries again in").waitFor();
  const hold = site.recorder.hold({ method: "PUT", image: "lighthouse", at: "request" });
  await press(page, { prompt: "a lighthouse at dusk" });
  await hold.reached;
  await look("outbox");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  hold.release();
  accept();
  recover();
});

test("offline", async () => {
  await page.context().setOffline(true);
  await page.locator("#offline").waitFor();
  await look("offline");
  await page.context().setOffline(false);
});

test("an image that the Worker keeps while Supabase is down", async () => {
  site.recorder.offline(true);
  await page.getByRole("button", { name: "Resume" }).click();
  await press(page, { prompt: "a lake in safe hands", route: "worker" });
  await job(page, "safe hands").getByText("Safe with the Worker").waitFor();
  await look("relay");
  await job(page, "safe hands").getByRole("button", { name: "Check now" }).waitFor();
  site.recorder.offline(false);
  await site.deliver(page, "a lake in safe hands");
  await retry(job(page, "safe hands"), "Check now");
  await job(page, "safe hands").waitFor({ state: "detached" });
});

test("a failure, of the gallery too, in a browser that has no outbox", async () => {
  await page.addInitScript(() => delete Navigator.prototype.locks);
  await page.route("**/api/sync", (request) => request.fulfill({ status: 503, json: { code: "unavailable" } }));
  site.recorder.offline(true);
  await page.reload();
  await page.locator("#gallery-failed").waitFor();
  await press(page, { prompt: "a lake" });
  await page.locator("#failure").waitFor();
  await look("failing");
  site.recorder.offline(false);
});
