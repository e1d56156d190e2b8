import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, press, send, shownWidth, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());

test("a Worker that can't be reached is told, and the same image sent again arrives", async () => {
  await page.route("**/api/sync", (request) => request.fulfill({ status: 503, json: { code: "unavailable" } }));
  await press(page, { prompt: "a lake", route: "worker" });
  const failure = page.locator("#failure");
  await failure.waitFor();
  assert.match(await failure.textContent(), /server is having a moment/);
  assert.match(await failure.textContent(), /Your picture is still here/);
  assert.equal(await failure.getAttribute("role"), "alert");

  await page.unrouteAll();
  await page.getByRole("button", { name: "Send again" }).click();
  await page.locator("#arrival").waitFor();
  assert.equal(await shownWidth(page), 1024);
});

test("what the Worker keeps while Supabase is down is said to be safe", async () => {
  site.recorder.offline(true);
  await press(page, { prompt: "a lake in safe hands", route: "worker" });
  await page.locator("#arrival").waitFor();
  assert.equal(await page.locator("#arrival-title").textContent(), "It's in safe hands");
  assert.equal(await page.locator("#failure").isHidden(), true);
  site.recorder.offline(false);
});

test("a file that is no image is refused with a reason, before anything is sent", async () => {
  page.complaints.length = 0;
  await page.locator("#file").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("no") });
  assert.match(await page.locator("#file-message").textContent(), /a\.txt is no PNG/);
  await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("<html>") });
  await press(page, {});
  await page.locator("#failure").waitFor();
  assert.match(await page.locator("#failure-title").textContent(), /isn't a usable image/);
  assert.deepEqual(page.complaints, []);
  await page.getByRole("button", { name: "Back to drawing" }).click();
});

test("an empty prompt and a seed that is none are pointed out where they are", async () => {
  await press(page, { prompt: "a lake", seed: "forty-two" });
  assert.equal(await page.locator("#seed").evaluate((input) => input === document.activeElement), true);
  assert.match(await page.locator("#file-message").textContent(), /whole number/);
  await press(page, { seed: "1", prompt: " " });
  assert.equal(await page.locator("#prompt").evaluate((input) => input === document.activeElement), true);
  await send(page, { prompt: "a lake" });
});

test("a browser that keeps nothing is told of, and the way through the Worker is left", async () => {
  const bare = await site.openPage();
  await bare.addInitScript(() => delete Navigator.prototype.locks);
  await bare.reload();
  await enter(bare);
  await bare.locator("#outbox-failed").waitFor();
  assert.match(await bare.locator("#outbox-failed").textContent(), /keeps nothing here/);
  await press(bare, { prompt: "a lake" });
  await bare.locator("#failure").waitFor();
  assert.match(await bare.locator("#failure-hint").textContent(), /through the Worker/);
  await send(bare, { prompt: "a lake", route: "worker" });
  assert.deepEqual(bare.complaints, []);
});

test("a wrong password and a short one are told", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Email").fill("nobody@example.com");
  await page.getByLabel("Password").fill("123");
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await page.locator("#sign-in-message").textContent(), /at least 6/);
  await page.getByLabel("Password").fill("123456789");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#sign-in-message:not(:empty)").waitFor();
  assert.match(await page.locator("#sign-in-message").textContent(), /credentials/i);
});
