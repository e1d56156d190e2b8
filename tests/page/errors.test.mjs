import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import {
  discard,
  endlessPatience,
  enter,
  expire,
  job,
  leave,
  PICTURE_SIDE,
  press,
  retry,
  send,
  sessionOf,
  shownWidth,
  startSite,
} from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());

test("a Worker that can't be reached is told, and tried again until it is there", async () => {
  await page.route("**/api/sync", (request) => request.fulfill({ status: 503, json: { code: "unavailable" } }));
  await press(page, { prompt: "a lake", route: "worker" });
  const hint = job(page, "a lake").locator(".job-hint", { hasText: "server is having a moment" });
  await hint.waitFor();

  await page.unrouteAll({ behavior: "wait" });
  // It comes again by itself, but not so soon.
  await retry(job(page, "a lake"));
  await page.locator("#arrival").waitFor();
  assert.equal(await shownWidth(page), PICTURE_SIDE);
});

test("what the Worker keeps while Supabase is down is said to be safe, and arrives", async () => {
  site.recorder.offline(true);
  await press(page, { prompt: "in safe hands", route: "worker" });
  const item = job(page, "in safe hands");
  await item.getByText("Safe with the Worker").waitFor();
  assert.match(await item.textContent(), /goes on by itself/);
  assert.equal(await item.getByRole("progressbar").isVisible(), false);
  assert.match(await page.getByRole("log").textContent(), /“in safe hands” is safe with the Worker/);
  site.recorder.offline(false);
  await site.deliver(page, "in safe hands");
  await item.waitFor({ state: "detached" });
  await page.locator("#grid li", { hasText: "in safe hands" }).waitFor();
  assert.equal((await site.rowsOf(page)).filter(({ prompt }) => prompt === "in safe hands").length, 1);
});

test("what the Worker keeps and is discarded does not arrive", async () => {
  site.recorder.offline(true);
  await press(page, { prompt: "not wanted any more", route: "worker" });
  const item = job(page, "not wanted any more");
  await item.getByText("Safe with the Worker").waitFor();
  const isRemoval = (answer) => answer.request().method() === "DELETE" && answer.url().includes("/api/images/");
  const gone = page.waitForResponse((answer) => isRemoval(answer) && answer.ok());
  await discard(item);
  await item.waitFor({ state: "detached" });
  assert.equal(await page.locator("#jobs > li").count(), 0);
  site.recorder.offline(false);
  await gone;
  await site.web.runCron();
  const isThere = async () => (await site.rowsOf(page)).some(({ prompt }) => prompt === "not wanted any more");
  await until(async () => !(await isThere()), "a delivery that was under way to take it back");
});

/** Discards everything by signing out, while Supabase is down: the Worker is asked to forget it, and no row of the user's arrives. */
async function leaveNothing(leaver) {
  const { user } = await sessionOf(leaver);
  const isRemoval = (request) => request.method() === "DELETE" && request.url().includes("/api/images/");
  const asked = leaver.waitForRequest(isRemoval);
  await leaver.getByRole("button", { name: "Sign out" }).click();
  await leaver.getByRole("button", { name: "Discard and sign out" }).click();
  await asked;
  await leaver.locator("#welcome").waitFor();
  site.recorder.offline(false);
  await site.web.runCron();
  const rows = () => site.supabase.sql("select prompt from imagen.images where owner_user_id = $1", [user.id]);
  await until(async () => (await rows()).length === 0, "a delivery that was under way to take it back");
}

test("who discards everything and signs out has the Worker forget what it keeps", async () => {
  const leaver = await site.openPage();
  await enter(leaver);
  site.recorder.offline(true);
  await press(leaver, { prompt: "left behind", route: "worker" });
  await job(leaver, "left behind").getByText("Safe with the Worker").waitFor();
  await leaveNothing(leaver);
});

/** The names of what lies in a user's folder. */
const objectsOf = async ({ id }) =>
  (await site.supabase.sql("select name from storage.objects where name like $1", [`${id}/%`])).map(({ name }) => name);

test("a picture that lies in the bucket without its row and is discarded leaves nothing there", async () => {
  const visitor = await site.openPage();
  await enter(visitor);
  const { user } = await sessionOf(visitor);
  const isBusy = { status: 503, body: { code: "PGRST000", message: "no connection" } };
  const serveAgain = site.recorder.answer({ method: "POST", target: "/rest/v1/images", ...isBusy });
  await press(visitor, { prompt: "half there", route: "direct" });
  const item = job(visitor, "half there");
  await item.getByText("Tries again in").waitFor();
  assert.ok((await objectsOf(user)).length > 0);
  await discard(item);
  await until(async () => (await objectsOf(user)).length === 0, "its object and its small picture to go");

  await press(visitor, { prompt: "half there too" });
  await job(visitor, "half there too").getByText("Tries again in").waitFor();
  await visitor.evaluate(endlessPatience);
  await visitor.getByRole("button", { name: "Sign out" }).click();
  await visitor.getByRole("button", { name: "Discard and sign out" }).click();
  await visitor.locator("#welcome").waitFor();
  assert.deepEqual(await objectsOf(user), []);
  serveAgain();
});

test("what the Worker keeps is taken back from it, also where the direct way was chosen since", async () => {
  const leaver = await site.openPage();
  await enter(leaver);
  site.recorder.offline(true);
  await press(leaver, { prompt: "kept there", route: "worker" });
  await job(leaver, "kept there").getByText("Safe with the Worker").waitFor();
  await leaver.locator("input[value=direct]").check();
  await job(leaver, "kept there").getByText("Tries again in").waitFor();
  await leaveNothing(leaver);
});

test("what never reached the Worker is discarded without a connection, too", async () => {
  const visitor = await site.openPage();
  await enter(visitor);
  await visitor.route("**/api/sync", (request) => request.abort());
  await press(visitor, { prompt: "never there", route: "worker" });
  await job(visitor, "never there").getByText("Tries again in").waitFor();
  await visitor.context().setOffline(true);
  await visitor.evaluate(holdOpening);
  await visitor.locator("input[value=direct]").check();
  await visitor.waitForFunction(() => window.endOpening);
  // What is pressed while the other way opens is for it.
  await discard(job(visitor, "never there"));
  assert.equal(await visitor.locator("#outbox-failed").textContent(), "");
  await visitor.evaluate(() => window.endOpening());
  await job(visitor, "never there").waitFor({ state: "detached" });
});

/** Runs in a page: keeps the next outbox from being open until `endOpening` is called, which is there once it begins to open. */
function holdOpening() {
  const { open } = IDBFactory.prototype;
  IDBFactory.prototype.open = function (...given) {
    const request = open.apply(this, given);
    if (!given[0].startsWith("imagen-cloud-outbox")) return request;
    IDBFactory.prototype.open = open;
    const hold = (event) => {
      event.stopImmediatePropagation();
      request.removeEventListener("success", hold);
      window.endOpening = () => request.dispatchEvent(new Event("success"));
    };
    request.addEventListener("success", hold);
    return request;
  };
}

test("signing out with a token that is over waits for no answer", async () => {
  const leaver = await site.openPage();
  await enter(leaver);
  await expire(leaver);
  await leaver.route("**/token?grant_type=refresh_token", () => {}); // never answered
  await leaver.getByRole("button", { name: "Sign out" }).click();
  await leaver.getByRole("button", { name: "End it" }).click();
  await leaver.locator("#welcome").waitFor();
  await leaver.reload();
  await leaver.locator("#welcome").waitFor();
});

test("what waits goes by the way that is chosen meanwhile, and the choice outlives a reload", async () => {
  site.recorder.offline(true);
  await press(page, { prompt: "undecided", route: "direct" });
  await job(page, "undecided").getByText("Tries again in").waitFor();
  await page.locator("input[value=worker]").check();
  await retry(job(page, "undecided"));
  await job(page, "undecided").getByText("Safe with the Worker").waitFor();
  await page.reload();
  await job(page, "undecided").getByText("Safe with the Worker").waitFor();
  assert.equal(await page.locator("input[value=worker]").isChecked(), true);
  site.recorder.offline(false);
  await site.deliver(page, "undecided");
  await retry(job(page, "undecided"), "Check now");
  await page.locator("#grid li", { hasText: "undecided" }).waitFor();
});

test("a way chosen at the very moment of sending loses nothing", async () => {
  for (const route of ["direct", "worker", "direct", "worker"]) {
    const prompt = `in a hurry, ${await page.locator("#grid li").count()}`;
    await page.locator("#prompt").fill(prompt);
    await page.evaluate((chosen) => {
      const input = document.querySelector(`input[value=${chosen}]`);
      const form = document.querySelector("#compose");
      // Once before and once after, in the same moment.
      form.requestSubmit();
      input.click();
      form.requestSubmit();
    }, route);
    await page.locator("#grid li", { hasText: prompt }).first().waitFor();
  }
});

test("a file that is no image is refused with a reason, before anything is sent", async () => {
  page.complaints.length = 0;
  await page.locator("#file").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("no") });
  assert.match(await page.locator("#file-message").textContent(), /a\.txt is no PNG/);
  await page.locator("#file").setInputFiles({ name: "a.png", mimeType: "image/png", buffer: Buffer.from("<html>") });
  await page.locator("#file-message", { hasText: "a.png isn't a usable image" }).waitFor();
  // The way out for what phones make.
  await page.locator("#file").setInputFiles({ name: "b.HEIC", mimeType: "", buffer: Buffer.from("heic") });
  assert.match(await page.locator("#file-message").textContent(), /b\.HEIC is a HEIC photo.*Most Compatible/);
  assert.equal(await page.locator("#canvas").isVisible(), true);
  assert.deepEqual(page.complaints, []);
});

test("an empty prompt and a seed that is none are pointed out where they are", async () => {
  await press(page, { prompt: "a lake", seed: "forty-two" });
  assert.equal(await page.locator("#seed").evaluate((input) => input === document.activeElement), true);
  assert.match(await page.locator("#seed-message").textContent(), /whole number/);
  await press(page, { seed: "1", prompt: " " });
  assert.equal(await page.locator("#prompt").evaluate((input) => input === document.activeElement), true);
  await send(page, { prompt: "a lake" });
});

test("a browser that keeps nothing is told of, and what is sent goes out at once, either way", async () => {
  const bare = await openBare();
  await bare.locator("#outbox-failed").waitFor();
  assert.match(await bare.locator("#outbox-failed").textContent(), /keeps nothing here.*at once/);
  for (const route of ["direct", "worker"]) await send(bare, { prompt: `a lake, ${route}`, route });
  assert.equal(await bare.evaluate(() => document.activeElement.id), "arrival-title");
  assert.deepEqual(bare.complaints, []);

  site.recorder.offline(true);
  await press(bare, { prompt: "a lake in safe hands" });
  await bare.getByText("It's in safe hands").waitFor();
  await bare.route("**/api/sync", (request) => request.fulfill({ status: 503, json: { code: "unavailable" } }));
  await press(bare, { prompt: "a lake, sent again" });
  const failure = bare.locator("#failure");
  await failure.waitFor();
  assert.match(await failure.textContent(), /server is having a moment.*Your picture is still here/s);
  assert.equal(await failure.getAttribute("role"), "alert");
  site.recorder.offline(false);
  await bare.unrouteAll({ behavior: "wait" });
  await bare.getByRole("button", { name: "Send again" }).click();
  await bare.locator("#arrival").waitFor();
  assert.equal(await shownWidth(bare), PICTURE_SIDE);
});

test("what is sent at once and cancelled leaves the page ready for the next", async () => {
  const bare = await openBare();
  const hold = site.recorder.hold({ method: "PUT", image: "forgotten", at: "request" });
  await press(bare, { prompt: "forgotten", route: "worker" });
  await hold.reached;
  await bare.getByRole("button", { name: "Cancel" }).click();
  await bare.locator("#delivery").waitFor({ state: "hidden" });
  hold.release();
  await send(bare, { prompt: "remembered", route: "worker" });
});

/** A visitor whose browser has no place for an outbox. */
async function openBare() {
  const bare = await site.openPage();
  await bare.addInitScript(() => delete Navigator.prototype.locks);
  await bare.reload();
  await enter(bare);
  return bare;
}

test("a token that was renewed and can't be kept, for want of room, sends what makes room", async () => {
  const full = await site.openPage();
  await enter(full);
  await expire(full);
  await full.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (...given) {
      if (this.name === "session") throw new DOMException("of the test", "QuotaExceededError");
      return put.apply(this, given);
    };
  });
  for (const prompt of ["with a renewed token", "with the same"]) await send(full, { prompt });
  assert.equal((await sessionOf(full)).expires_at, 1, "the new one is not written");
  assert.equal(site.recorder.requests.filter(({ target }) => target.includes("grant_type=refresh_token")).length, 1);
});

test("a wrong password and a short one are told", async () => {
  await leave(page);
  await page.getByLabel("Email").fill("nobody@example.com");
  await page.getByLabel("Password").fill("123");
  await page.getByRole("button", { name: "Sign in" }).click();
  assert.match(await page.locator("#sign-in-message").textContent(), /at least 6/);
  await page.getByLabel("Password").fill("123456789");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#sign-in-message:not(:empty)").waitFor();
  assert.match(await page.locator("#sign-in-message").textContent(), /credentials/i);
});
