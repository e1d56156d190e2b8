import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enter, screenshot, send, shownWidth, startSite } from "./support.mjs";

let site;
before(async () => {
  site = await startSite();
});
after(() => site?.close());

for (const route of ["direct", "worker"]) {
  test(`a backend that can't be reached is told, and the same image sent again arrives, route ${route}`, async () => {
    const page = await site.openPage();
    await enter(page);
    // What a page or a Worker sees of a project that is down: no answer, or a gateway's.
    const failing = route === "direct" ? "**/storage/v1/**" : "**/api/sync";
    await page.route(failing, (request) =>
      route === "direct"
        ? request.abort("connectionrefused")
        : request.fulfill({ status: 503, json: { code: "unavailable", detail: "The image store can't be reached." } }),
    );
    await page.locator(`input[value=${route}]`).check();
    await page.getByRole("button", { name: "Send to Supabase" }).click();
    const failure = page.locator("#failure");
    await failure.waitFor();
    assert.match(await failure.textContent(), /Your picture is still here/);
    assert.equal(await failure.getAttribute("role"), "alert");
    if (route === "direct") {
      await screenshot(page, "failure-1280-light");
      await page.setViewportSize({ width: 390, height: 844 });
      await page.emulateMedia({ colorScheme: "dark" });
      await screenshot(page, "failure-390-dark");
    }

    await page.unrouteAll();
    await page.getByRole("button", { name: "Send again" }).click();
    await page.locator("#arrival").waitFor();
    assert.equal(await shownWidth(page), 1024);
  });
}

test("a file that is no image is refused with a reason, before anything is sent", async () => {
  const page = await site.openPage();
  await enter(page);
  await page.locator("#file").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("no") });
  assert.match(await page.locator("#file-message").textContent(), /a\.txt is no PNG/);
  await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("<html>") });
  await page.getByRole("button", { name: "Send to Supabase" }).click();
  await page.locator("#failure").waitFor();
  assert.match(await page.locator("#failure-title").textContent(), /isn't a usable image/);
  assert.deepEqual(page.complaints, []);
});

test("an empty prompt and a seed that is none are pointed out where they are", async () => {
  const page = await site.openPage();
  await enter(page);
  await page.locator("#seed").fill("forty-two");
  await page.getByRole("button", { name: "Send to Supabase" }).click();
  assert.equal(await page.locator("#seed").evaluate((input) => input === document.activeElement), true);
  assert.match(await page.locator("#file-message").textContent(), /whole number/);
  await page.locator("#seed").fill("1");
  await page.locator("#prompt").fill(" ");
  await page.getByRole("button", { name: "Send to Supabase" }).click();
  assert.equal(await page.locator("#prompt").evaluate((input) => input === document.activeElement), true);
  await send(page, { prompt: "a lake" });
});

test("a wrong password and a short one are told", async () => {
  const page = await site.openPage();
  await page.getByLabel("Email").fill("nobody@example.com");
  await page.getByLabel("Password").fill("123");
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await page.locator("#sign-in-message").textContent(), /at least 6/);
  await page.getByLabel("Password").fill("123456789");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#sign-in-message:not(:empty)").waitFor();
  assert.match(await page.locator("#sign-in-message").textContent(), /credentials/i);
});

test("with the whole backend gone the page still says what is the matter", async () => {
  const doomed = await startSite();
  try {
    const page = await doomed.openPage();
    await enter(page);
    await doomed.supabase.close();
    await page.getByRole("button", { name: "Send to Supabase" }).click();
    await page.locator("#failure").waitFor();
    assert.match(await page.locator("#failure-title").textContent(), /Can't reach the server/);
    await page.locator("input[value=worker]").check();
    await page.getByRole("button", { name: "Send to Supabase" }).click();
    await page.locator("#failure").waitFor({ state: "hidden" });
    await page.locator("#failure").waitFor();
    assert.match(await page.locator("#failure-title").textContent(), /server is having a moment/);
  } finally {
    await doomed.close();
  }
});
