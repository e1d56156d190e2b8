// What the page looks like, wide and narrow, light and dark: kept in target/screenshots for people to look at, and
// here checked for what can be measured.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, screenshot, send, startSite } from "./support.mjs";

let site;
before(async () => {
  site = await startSite();
});
after(() => site?.close());

const PROMPTS = ["snow over a fjord", "pine forest at dawn", "desert sunset", "cherry blossoms by the bay"];

for (const [width, height] of [
  [1280, 900],
  [390, 844],
]) {
  for (const colorScheme of ["light", "dark"]) {
    test(`${width} wide, ${colorScheme}: nothing is cut off, from the welcome to the gallery`, async () => {
      const page = await site.openPage({ width, height, colorScheme });
      const look = async (name) => {
        await screenshot(page, `${name}-${width}-${colorScheme}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${name} is ${overflow} px too wide`);
      };
      await page.getByRole("heading", { level: 1, name: /arrive/ }).waitFor();
      await look("welcome");
      await enter(page);
      await page.locator("#gallery-empty").waitFor();
      await look("empty");
      for (const [i, prompt] of PROMPTS.entries()) await send(page, { prompt, seed: String(i + 1) });
      await page.locator(`#grid li:nth-child(${PROMPTS.length}) img`).waitFor();
      await look("arrived");
      assert.deepEqual(page.complaints, []);
    });
  }
}

test("everything can be reached and used by keyboard alone", async () => {
  const page = await site.openPage();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  for (let i = 0; i < 3; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "email");
  await page.getByRole("button", { name: "Try it as a demo user" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#prompt").focus();
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("moon on a lake");
  await page.locator("input[value=direct]").focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.locator("input[value=worker]").isChecked(), true);
  await page.keyboard.press("Enter");
  await page.locator("#arrival").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "arrival-title");
});
