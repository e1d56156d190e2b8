// "Break it": the demo's panel that tries to lose pictures, beside the way most people send them.
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { barriers, PICTURE_SIDE, screenshot, sessionOf, startSite } from "./support.mjs";

const SIZES = [
  [1280, 900],
  [390, 844],
];

let site;
let page;
before(async () => {
  site = await startSite({ pictureSide: PICTURE_SIDE, breakIt: true });
  page = await site.openPage({ worker: true });
  await page.evaluate(() => navigator.serviceWorker.ready);
});
after(() => site?.close());

/** What one of the boards says, by the figures' names. */
function figures(board) {
  return page
    .locator(`${board} [data-figure]`)
    .evaluateAll((all) =>
      Object.fromEntries(all.map((one) => [one.dataset.figure, Number(one.querySelector("dd").textContent)])),
    );
}

async function look(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await screenshot(page, `${name}-${width}-${colorScheme}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} px too wide at ${width}`);
    }
    assert.deepEqual(await barriers(page), [], `${name}, ${colorScheme}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

test("ten pictures outlive lost answers, a server that is down and a page that was left, once each", async () => {
  await page.getByRole("button", { name: "Watch it survive" }).click();
  await page.locator("#break-panel").waitFor();
  await page.getByLabel("Lose 20 % of answers").check();
  await page.getByLabel("Server down").check();
  await page.getByRole("button", { name: "Send ten" }).click();
  await page.locator("#jobs > li:nth-child(10)").waitFor();
  await page.locator('.track[data-at="Outbox"]').nth(9).waitFor();
  assert.equal((await figures("#score")).Objects, 0);
  // What is under way is not called left behind.
  assert.equal(await page.locator('#score [data-figure="Left behind"]').count(), 0);
  assert.equal(await page.locator('#score [data-figure="Without row"]').getAttribute("data-look"), null);
  await look("break-waiting");

  // Nothing of the app is there; it comes back by itself after ten seconds.
  await page.getByRole("link", { name: "Leave and come back" }).click();
  await page.getByRole("heading", { name: "You left." }).waitFor();
  assert.equal(await page.evaluate(() => document.scripts.length), 0);
  assert.match(await page.locator("meta[http-equiv=refresh]").getAttribute("content"), /^10; url=\/#\/break$/);
  await page.getByRole("link", { name: "Go back now" }).click();
  await page.locator("#fault-down:checked").waitFor();
  await page.getByLabel("Server down").uncheck();
  await page.locator(".track[data-arrived]").nth(9).waitFor({ timeout: 90_000 });
  await page.locator("#jobs > li").first().waitFor({ state: "detached" });
  await page.locator('[data-figure="Rows"] dd', { hasText: "10" }).waitFor();
  await page.locator('#score [data-figure="Left behind"]').waitFor();

  const { Sent, Broken, ...kept } = await figures("#score");
  assert.deepEqual([kept.Objects, kept.Rows, kept.Doubles, kept["Left behind"], Sent], [10, 10, 0, 0, 10]);
  assert.ok(Broken >= 4, `${Broken} broken`);
  const { user } = await sessionOf(page);
  const [{ rows }] = await site.supabase.sql(
    "select count(*)::int as rows from imagen.images where owner_user_id = $1",
    [user.id],
  );
  assert.equal(rows, 10);
  // What was noted before the page was left is told, too.
  const story = page.locator(".track", { hasText: "the answer was lost" }).first();
  await story.getByText(/^Arrived once, after \d+ tries and \d+ s$/).click();
  await story.getByText(/^Upload, first (to \w+ )?try: the server was down \(503\)$/).waitFor();
  await story.getByText(/^Row, \w+ try: the row was there already$/).waitFor();
  await page
    .locator(".track", { hasText: /Upload, \w+ try: no answer came/ })
    .first()
    .waitFor();
});

test("a switch stays as it was set when an older answer comes in after it", async () => {
  const asked = Promise.withResolvers();
  const changed = Promise.withResolvers();
  await page.route("**/faults?*", async (route) => {
    const response = await route.fetch();
    if (route.request().method() === "GET") {
      asked.resolve();
      await changed.promise;
    }
    await route.fulfill({ response });
    if (route.request().method() === "PUT") changed.resolve();
  });
  const older = page.waitForResponse(
    (response) => response.request().method() === "GET" && /faults/.test(response.url()),
  );
  await page.reload();
  await asked.promise;
  const slow = page.getByLabel("Slow line");
  await slow.check();
  await (await older).finished();
  await page.unrouteAll({ behavior: "wait" }); // the panel may be asking just now
  await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await slow.isChecked(), true);
  await slow.uncheck();
});

test("the same ten by the plain way lose, double and leave behind what they do", async () => {
  await page.getByRole("button", { name: "Send them the plain way" }).click();
  await page.locator("#plain-verdict").waitFor({ timeout: 120_000 });
  await page.locator('#plain-score [data-figure="Left behind"]').waitFor();
  const { Sent, Objects, Rows, Doubles, "Left behind": leftBehind } = await figures("#plain-score");
  // Uploads 3 and 8 and rows 5 and 9 failed once, so four pictures were uploaded twice, and one row is there twice.
  assert.deepEqual(
    { Sent, Objects, Rows, Doubles, leftBehind },
    { Sent: 10, Objects: 14, Rows: 11, Doubles: 1, leftBehind: 3 },
  );
  assert.equal((await figures("#score")).Rows, 10);
  await page.getByText("Its code").click();
  assert.match(await page.locator(".plain-code pre").textContent(), /await supabase\.storage\.from/);
  await look("break-compared");
  assert.deepEqual(
    page.complaints.filter((text) => !/Failed to load resource/.test(text)),
    [],
  );
});

test("a published build has no panel, and neither of its files", async (t) => {
  const root = fileURLToPath(new URL("../../www/app", import.meta.url));
  const outDir = await mkdtemp(path.join(os.tmpdir(), "imagen-app-"));
  t.after(() => rm(outDir, { recursive: true }));
  await build({ root, logLevel: "error", build: { outDir, emptyOutDir: true, sourcemap: false } });
  const names = await readdir(path.join(outDir, "assets"));
  assert.deepEqual(
    names.filter((name) => /^(panel|plain)-/.test(name)),
    [],
  );
  for (const name of names.filter((name) => name.endsWith(".js"))) {
    const script = await readFile(path.join(outDir, "assets", name), "utf8");
    for (const words of ["/faults", "Try to lose a picture"]) assert.equal(script.includes(words), false, name);
  }
});
