// What the page shows of pictures on their way.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../support/until.mjs";
import { discard, enqueue, enter, installClock, job, leave, press, retry, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());
beforeEach(() => {
  page.complaints.length = 0;
});

const stateOf = (item) => item.locator(".job-state").textContent();
const heightOf = (item) => item.evaluate((element) => element.getBoundingClientRect().height);
const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);

test("an upload shows its picture, its bytes and its end, and is announced", async () => {
  const hold = site.recorder.hold({ method: "PUT", image: "a-slow-one", at: "request" });
  await press(page, { prompt: "A slow one" });
  await hold.reached;
  const item = job(page, "A slow one");
  await item.locator("img").waitFor();
  await page.waitForFunction(() => document.querySelector("#jobs progress")?.value === 100);
  // A machine that is slow to get here hears of the silence that follows.
  assert.match(await stateOf(item), /^(Uploading, 100 %$|No answer yet)/);
  assert.equal(await page.getByRole("progressbar", { name: "Upload of A slow one" }).isVisible(), true);
  assert.equal(await page.locator("#outbox-count").textContent(), "1");
  assert.equal(await page.getByRole("list", { name: "Outbox" }).getByRole("listitem").count(), 1);

  hold.release();
  await page.locator("#grid img").first().waitFor();
  await item.waitFor({ state: "detached" });
  assert.match(await page.locator("#outbox-empty").textContent(), /Nothing is waiting/);
  assert.match(await page.getByRole("log").textContent(), /“A slow one” is in the outbox.*“A slow one” arrived/);
  assert.deepEqual(page.complaints, []);
});

test("a waiting picture keeps its name, in any script, over a reload", async () => {
  const name = "灯台・منارة, at “dusk”";
  site.recorder.offline(true);
  await enqueue(page, [name]);
  await page.reload();
  const title = job(page, name).locator(".job-title");
  await title.waitFor();
  assert.deepEqual([await title.textContent(), await title.getAttribute("dir")], [name, "auto"]);
  await discard(job(page, name));
  await job(page, name).waitFor({ state: "detached" });
  site.recorder.offline(false);
});

test("what the server refuses is kept with a reason, and arrives by a retry", async () => {
  const message = "The object exceeded the maximum allowed size";
  const accept = site.recorder.answer({
    method: "PUT",
    image: "too-big",
    status: 400,
    body: { statusCode: "413", error: "Payload too large", message },
  });
  await press(page, { prompt: "Too big" });
  const item = job(page, "Too big");
  await item.getByRole("button", { name: "Retry: Too big" }).waitFor();
  assert.equal(await stateOf(item), "The picture is too large");
  assert.equal(await page.locator("#send-answer").textContent(), "Not sent: see the outbox");
  assert.match(await item.textContent(), /Choose a smaller file/);
  assert.match(await item.locator("code").textContent(), new RegExp(message));
  assert.match(await page.getByRole("log").textContent(), /“Too big” could not be sent: The picture is too large/);

  // It holds nobody up, and is there again after a reload.
  await press(page, { prompt: "right behind" });
  await page.locator("#grid li", { hasText: "right behind" }).waitFor();
  await page.reload();
  await job(page, "too big").getByRole("button", { name: "Retry" }).waitFor();
  accept();
  await job(page, "too big").getByRole("button", { name: "Retry" }).click();
  await page.locator("#grid li", { hasText: "Too big" }).waitFor();
  await page.locator("#jobs > li").waitFor({ state: "detached" });
});

test("a page that is shown again as it was shows what is still there", async () => {
  const accept = site.recorder.answer({
    method: "PUT",
    image: "gone-meanwhile",
    status: 400,
    body: { statusCode: "413", error: "Payload too large", message: "too large" },
  });
  await enqueue(page, ["Gone meanwhile"]);
  await job(page, "Gone meanwhile").getByRole("button", { name: "Retry" }).waitFor();
  // Another page is done with it, whose word this one does not hear in the back/forward cache.
  await page.evaluate(async () => {
    const { name } = (await indexedDB.databases()).find(({ name }) => name.startsWith("imagen-cloud-outbox-"));
    const opening = indexedDB.open(name);
    const database = await new Promise((resolve) => opening.addEventListener("success", () => resolve(opening.result)));
    database.transaction("jobs", "readwrite").objectStore("jobs").clear();
    database.close();
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await job(page, "Gone meanwhile").waitFor({ state: "detached" });
  accept();
});

test("while the server can't be reached it says when it tries again, and a retry comes first", async () => {
  site.recorder.offline(true);
  await press(page, { prompt: "cut off" });
  const item = job(page, "cut off");
  await item.locator(".job-state", { hasText: /^Tries again in \d+ (s|min)$/ }).waitFor();
  await item.locator(".job-hint", { hasText: "Can't reach the server" }).waitFor();
  site.recorder.offline(false);
  await retry(item);
  await page.locator("#grid li", { hasText: "cut off" }).waitFor();
  await page.getByText(/^Arrived once, after \d+ tries and \d+ s/).waitFor();
  await page.locator("#arrival summary", { hasText: "Details" }).click();
  await page
    .locator("#arrival-log")
    .getByText(/^Upload, first (to \w+ )?try: no answer came$/)
    .waitFor();
});

test("rows stay where they are when Retry appears above them", async () => {
  await page.getByText("Nothing is waiting").waitFor();
  const message = "The object exceeded the maximum allowed size";
  const refusal = { statusCode: "413", error: "Payload too large", message };
  const accept = site.recorder.answer({ method: "PUT", image: "refused-above", status: 400, body: refusal });
  const recover = site.recorder.answer({ method: "PUT", image: "waits-above", status: 503, body: {} });
  const holds = ["refused-above", "waits-above", "below"].map((image) =>
    site.recorder.hold({ method: "PUT", image, at: "request" }),
  );
  for (const prompt of ["Refused above", "Waits above", "Below"]) await press(page, { prompt });
  await Promise.all(holds.map(({ reached }) => reached));
  await job(page, "Below").getByRole("progressbar").waitFor();
  const top = () => job(page, "Below").evaluate((row) => row.getBoundingClientRect().top + scrollY);
  const sizes = [
    [1280, 900],
    [390, 844],
    [320, 568],
  ];
  const tops = async () => {
    const all = [];
    for (const [width, height] of sizes) {
      await page.setViewportSize({ width, height });
      all.push(await top());
    }
    return all;
  };
  const before = await tops();
  for (const { release } of holds.slice(0, 2)) release();
  await job(page, "Refused above").getByRole("button", { name: "Retry" }).waitFor();
  await job(page, "Waits above").getByRole("button", { name: "Retry" }).waitFor();
  assert.deepEqual(await tops(), before);
  await page.setViewportSize({ width: 1280, height: 900 });
  accept();
  recover();
  holds[2].release();
  for (const prompt of ["Refused above", "Waits above"]) {
    await retry(job(page, prompt));
    await page.locator("#grid li", { hasText: prompt }).waitFor();
  }
  await page.locator("#grid li", { hasText: "Below" }).waitFor();
});

test("a row under the hand stays there when one above it arrives, until the hand is gone", async () => {
  await page.getByText("Nothing is waiting").waitFor();
  const holds = ["arrives-first", "under-the-hand"].map((image) =>
    site.recorder.hold({ method: "PUT", image, at: "request" }),
  );
  for (const prompt of ["Arrives first", "Under the hand"]) await press(page, { prompt });
  await Promise.all(holds.map(({ reached }) => reached));
  const row = job(page, "Under the hand");
  await row.getByRole("button", { name: "Discard" }).hover();
  const top = () => row.evaluate((element) => element.getBoundingClientRect().top);
  const before = await top();
  holds[0].release();
  await page.locator("#grid li", { hasText: "Arrives first" }).waitFor();
  await page.locator("#arrival").waitFor();
  assert.equal(await top(), before);
  assert.equal(await page.getByRole("list", { name: "Outbox" }).getByRole("listitem").count(), 1);
  await page.mouse.move(0, 0);
  await page.locator("#jobs > li").nth(1).waitFor({ state: "detached" });
  assert.ok((await top()) < before);
  holds[1].release();
  await page.locator("#grid li", { hasText: "Under the hand" }).waitFor();
});

test("a server that hangs is told of after a while, and the other way is offered", async () => {
  await installClock(page);
  await page.getByText("Nothing is waiting").waitFor();
  const hold = site.recorder.hold({ method: "PUT", image: "a-silent-one", at: "request" });
  await press(page, { prompt: "A silent one" });
  await hold.reached;
  const item = job(page, "A silent one");
  await item.getByRole("progressbar").waitFor();
  const height = await heightOf(item);
  await page.clock.fastForward(5_000);
  await item.getByText(/^No answer yet, \d+ s\. It's kept here\.$/).waitFor();
  assert.equal(await heightOf(item), height, "the rows below stay where they are");
  await item.getByRole("button", { name: "Use the Worker" }).click();
  await page.locator("#grid li", { hasText: "A silent one" }).waitFor();
  hold.release();
  await page.locator("input[value=direct]").check();
});

test("a paused outbox keeps what is put in, in both tabs, until it is resumed in one", async () => {
  const other = await site.openPage({ context: page.context() });
  await page.locator("#pause").waitFor({ state: "hidden" });
  site.recorder.offline(true);
  await enqueue(page, ["twin one"]);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  site.recorder.offline(false);
  await enqueue(page, ["twin two", "twin three"]);
  for (const tab of [page, other]) {
    await job(tab, "twin three").waitFor();
    assert.equal(await tab.locator("#jobs > li").count(), 3);
    assert.match(await stateOf(job(tab, "twin one")), /^Paused/);
    await job(tab, "twin two").locator("img").waitFor();
  }
  assert.equal(await other.getByRole("button", { name: "Resume" }).isVisible(), true);

  // The keyboard goes on where it was; a picture is not lost by one press.
  const discard = job(other, "twin two").getByRole("button", { name: "Discard" });
  await discard.focus();
  await other.keyboard.press("Enter");
  assert.equal(await job(other, "twin two").count(), 1);
  await other.keyboard.press("Enter");
  await job(page, "twin two").waitFor({ state: "detached" });
  await job(other, "twin two").waitFor({ state: "detached" });
  assert.equal(await isFocused(job(other, "twin three").getByRole("button", { name: "Discard" })), true);

  await other.getByRole("button", { name: "Resume" }).click();
  for (const tab of [page, other]) {
    for (const prompt of ["twin one", "twin three"]) await tab.locator("#grid li", { hasText: prompt }).waitFor();
    await tab.locator("#jobs > li").first().waitFor({ state: "detached" });
    assert.equal(await tab.locator("#grid li", { hasText: "twin two" }).count(), 0);
  }
  // Only the tab that sent it is told where it arrived.
  await page.locator("#arrival").waitFor();
  assert.equal(await other.locator("#arrival").isHidden(), true);
  await other.close();
});

test("signed out, the outbox is not shown to anybody else, and it goes out when its owner is back", async () => {
  const own = await site.openPage();
  await own.getByLabel("Email").fill("owner@example.com");
  await own.getByLabel("Password").fill("correct horse");
  await own.getByRole("button", { name: "Create account" }).click();
  await own.locator("#gallery-empty").waitFor();
  site.recorder.offline(true);
  await enqueue(own, ["for later"]);
  await own.getByRole("button", { name: "Sign out" }).click();
  await own.getByRole("button", { name: "Keep and sign out" }).click();
  site.recorder.offline(false);
  await enter(own);
  await own.locator("#gallery-empty").waitFor();
  assert.equal(await own.locator("#jobs > li").count(), 0);
  await leave(own);
  await own.getByLabel("Email").fill("owner@example.com");
  await own.getByLabel("Password").fill("correct horse");
  await own.getByRole("button", { name: "Sign in" }).click();
  await own.locator("#grid li", { hasText: "for later" }).waitFor();
  await until(async () => (await site.rowsOf(own)).length === 1, "its row");
});
