// What the page promises whoever works with it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, send, startSite } from "./support.mjs";

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
