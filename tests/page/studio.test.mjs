// What the page promises whoever works with it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, press, send, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());

test("every tile of the gallery can be clicked, at three sizes", async () => {
  for (let i = 1; i <= 6; i++) await send(page, { prompt: `tile number ${i}` });
  await page.locator("#grid li:nth-child(6) img").waitFor();
  for (const [width, height] of [
    [1280, 800],
    [1024, 768],
    [390, 844],
  ]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    for (let i = 1; i <= 6; i++) {
      await page.getByRole("button", { name: `tile number ${i}` }).click({ timeout: 10_000 });
      await page.getByRole("dialog", { name: `tile number ${i}` }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("Send answers in itself, until something else is on the stage", async () => {
  const button = page.locator("#send");
  const hold = site.recorder.hold({ method: "PUT", image: "an-answer", at: "request" });
  await press(page, { prompt: "an answer" });
  await hold.reached;
  await button.getByText("In the outbox ✓").waitFor();
  await button.getByText("Send another copy").waitFor();
  assert.equal(await page.locator("#under-way").textContent(), "1 on its way");
  // It stays in view, wherever one looks.
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  assert.equal(await isInView(page.locator("#under-way")), true);
  hold.release();
  await button.getByText("Arrived ✓").waitFor();
  await page.locator("#under-way").waitFor({ state: "detached" });

  const seed = await page.locator("#seed").inputValue();
  await page.locator("#seed").fill("7");
  await page.getByRole("button", { name: "Send to Supabase", exact: true }).waitFor();
  await page.locator("#seed").fill(seed);
  await button.getByText("Arrived ✓").waitFor();
});

test("on a phone Send is in reach without scrolling", async () => {
  for (const [width, height] of [
    [390, 844],
    [360, 640],
  ]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => scrollTo(0, 0));
    assert.equal(await isInView(page.locator("#send")), true, `${width} × ${height}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
});

/** Whether all of it can be seen, and nothing lies over it. */
function isInView(locator) {
  return locator.evaluate((element) => {
    const { top, bottom, left, width } = element.getBoundingClientRect();
    const onTop = document.elementFromPoint(left + width / 2, (top + bottom) / 2);
    return top >= 0 && bottom <= innerHeight && element.contains(onTop);
  });
}
