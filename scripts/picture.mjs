// Takes README's picture, docs/app.jpg: "Break it", after ten pictures went through lost answers, beside the plain way.
//
//   CHROME=.tools/bin/chromium node scripts/picture.mjs
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { startSite } from "../tests/page/support.mjs";

const PICTURE = fileURLToPath(new URL("../docs/app.jpg", import.meta.url));

const site = await startSite({ pictureSide: 512, breakIt: true });
try {
  const page = await site.openPage({ width: 1280, height: 800 });
  await page.getByRole("button", { name: "Watch it survive" }).click();
  await page.getByLabel("Lose 20 % of answers").check();
  await page.getByRole("button", { name: "Send ten" }).click();
  await page.locator('.track[data-at="Link"]').nth(9).waitFor({ timeout: 120_000 });
  await page.locator('#score [data-figure="Rows"] dd', { hasText: "10" }).waitFor();
  await page.getByRole("button", { name: "Send them the plain way" }).click();
  await page.locator("#plain-verdict").waitFor({ timeout: 120_000 });
  await page.locator(".track", { hasText: "the answer was lost" }).locator("summary").first().click();
  // So high that nothing scrolls under the page's head.
  await page.setViewportSize({ width: 1280, height: 2600 });
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  await writeFile(PICTURE, await page.locator(".break-it").screenshot({ type: "jpeg", quality: 82 }));
  console.log(`picture: ${PICTURE}`);
} finally {
  await site.close();
}
process.exit(0);
