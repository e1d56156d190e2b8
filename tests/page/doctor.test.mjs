// Where the project is not set up right, the page says what is wrong and what to do about it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BUCKET, barriers, enter, job, press, screenshot, sessionOf, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await enter(page);
  await page.locator("#gallery-empty").waitFor();
});
after(() => site?.close());

const SIZES = [
  [1280, 900],
  [390, 844],
];
const REFUSED = { message: "Invalid API key", hint: "Double check your API key." };

const dialog = (on = page) => on.getByRole("dialog", { name: "Is the project set up right?" });
const said = (words, on = page) => on.locator("#doctor-said", { hasText: words }).waitFor();

/** Its address goes a moment after it, and would take along one that is set in between. */
async function closed() {
  await dialog().waitFor({ state: "hidden" });
  await page.waitForFunction(() => location.hash === "");
}

const finding = (name, on = page) => on.locator(".finding", { has: on.locator("code", { hasText: name }) });
const states = () => page.locator(".findings > ul > li").evaluateAll((all) => all.map(({ dataset }) => dataset.state));
const active = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
const notExposed = () =>
  site.recorder.answer({
    method: "GET",
    target: "/rest/v1/images",
    status: 406,
    body: { code: "PGRST106", details: null, hint: null, message: "The schema must be one of the following: public" },
  });

/** Wide and narrow, light and dark: nothing is cut off, and nothing keeps anybody out. */
async function look(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await screenshot(page, `${name}-${width}-${colorScheme}`, { fullPage: false });
      const overflow = await dialog().evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} px too wide at ${width}`);
    }
    assert.deepEqual(await barriers(page), [], `${name}, ${colorScheme}`);
  }
  const [width, height] = SIZES[0];
  await page.setViewportSize({ width, height });
}

/** Presses Tab until the keyboard is at the link that leads to the doctor. */
async function tabToDoctor() {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    if ((await active()) === "What is wrong with the set-up?") return;
  }
  assert.fail("the doctor can't be reached by Tab");
}

test("a right project gets only ok, and nothing is left behind", async () => {
  const link = page.getByRole("link", { name: "Is the project set up right?" });
  const hold = site.recorder.hold({ method: "GET", target: "/rest/v1/images", at: "answer" });
  await link.focus();
  await page.keyboard.press("Enter");
  await hold.reached;
  await said("Looking at the project");
  hold.release();
  assert.equal(await active(), "doctor-title");
  await said("All that was looked at is right.");
  assert.deepEqual([...new Set(await states())], ["ok"]);
  for (const name of ["columns", "objects-others", "rows-remove", "cors"]) assert.equal(await finding(name).count(), 1);
  await look("doctor-right");
  const [left] = await site.supabase.sql(
    "select (select count(*)::int from imagen.images) as rows, (select count(*)::int from storage.objects) as objects",
  );
  assert.deepEqual(left, { rows: 0, objects: 0 });

  assert.equal(new URL(page.url()).hash, "#/doctor");
  await page.goBack();
  await dialog().waitFor({ state: "hidden" });
  assert.equal(new URL(page.url()).hash, "");
  assert.equal(await active(), "Is the project set up right?");
  assert.deepEqual(
    page.complaints.filter((text) => !text.startsWith("Failed to load resource")),
    [],
  );
});

test("a schema that is not exposed is named from the gallery on by keyboard, with what to do", async () => {
  const expose = notExposed();
  await page.reload();
  await page.locator("#gallery-failed").waitFor();
  await tabToDoctor();
  await screenshot(page, "doctor-from-gallery", { fullPage: false });
  await page.keyboard.press("Enter");
  await said("There is one thing to do.");
  assert.equal(await active(), "doctor-title");
  const schema = page.locator(".finding").first();
  assert.equal(await schema.getAttribute("data-state"), "wrong");
  assert.match(await schema.textContent(), /schema/);
  assert.match(await schema.locator(".finding-remedy").textContent(), /expos/i);
  await look("doctor-wrong");

  await page.context().setOffline(true);
  await page.locator("#offline").waitFor();
  await page.locator("#doctor-again").focus();
  await page.keyboard.press("Enter");
  await said("could not be asked. You're offline");
  assert.equal(await active(), "doctor-again");
  await screenshot(page, "doctor-offline", { fullPage: false });
  await page.context().setOffline(false);
  await page.locator("#offline").waitFor({ state: "hidden" });

  // What was wrong and is right now is seen below, too.
  expose();
  await page.keyboard.press("Enter");
  await said("All that was looked at is right.");
  await page.keyboard.press("Escape");
  await closed();
  await page.locator("#gallery-empty").waitFor();
});

test("the report that is copied names everything, and holds neither key nor token", async () => {
  const expose = notExposed();
  await page.evaluate(() => {
    location.hash = "#/doctor";
  });
  await said("There is one thing to do.");
  await page.getByRole("button", { name: "Copy the report" }).click();
  await page.getByText("It holds no key and no token").waitFor();
  const report = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(report, /^to do {5}schema .*\n +\S.*expos/im);
  assert.match(report, /^ok {8}key /m);
  const { access_token, refresh_token } = await sessionOf(page);
  for (const secret of [site.supabase.anonKey, access_token, refresh_token]) assert.ok(!report.includes(secret));
  assert.doesNotMatch(report, /\bey[\w-]{8,}\.|sb_publishable_/);
  await page.getByRole("button", { name: "Close" }).click();
  await closed();
  expose();
});

test("who can't sign in for a key that is none is led to it, and needs nobody's token", async () => {
  const undo = ["/auth/v1/signup", "/rest/v1/images"].map((target) =>
    ["GET", "POST"].map((method) => site.recorder.answer({ method, target, status: 401, body: REFUSED })),
  );
  const guest = await site.openPage();
  await guest.getByRole("button", { name: "Try it as a demo user" }).click();
  const lead = guest.getByRole("link", { name: "What is wrong with the set-up?" });
  await lead.waitFor();
  await screenshot(guest, "doctor-from-sign-in", { fullPage: false });
  await lead.click();
  await said("There is one thing to do.", guest);
  assert.match(await guest.locator(".finding").first().textContent(), /refuses the key.*Take address and key/s);
  await guest.getByText("Sign in, and what a user may do is looked at too.").waitFor();
  for (const back of undo.flat()) back();

  // It is an address of its own.
  await guest.reload();
  await said("All that was looked at is right.", guest);
  await guest.getByRole("button", { name: "Close" }).click();
  await dialog(guest).waitFor({ state: "hidden" });
  assert.equal(new URL(guest.url()).hash, "");
  await guest.locator("#welcome").waitFor();
});

test("a picture that a policy keeps out leads to which policy is missing", async () => {
  const [{ name }] = await site.supabase.sql(
    "select policyname as name from pg_policies where schemaname = 'storage' and tablename = 'objects' and cmd = 'INSERT'",
  );
  await site.supabase.script(`drop policy "${name}" on storage.objects`);
  await press(page, { prompt: "kept out", route: "direct" });
  await job(page, "kept out").getByText("Not allowed").waitFor();
  const lead = page.locator(".outbox").getByRole("link", { name: "What is wrong with the set-up?" });
  await lead.waitFor();
  await screenshot(page, "doctor-from-outbox", { fullPage: false });
  await lead.click();
  await said("to do.");
  const added = finding("objects-add");
  assert.equal(await added.getAttribute("data-state"), "wrong");
  assert.match(
    await added.textContent(),
    /may not add an object to their own folder.*The migrations make the policies/s,
  );
  const objects = await site.supabase.sql("select 1 from storage.objects where bucket_id = $1", [BUCKET]);
  assert.deepEqual(objects, []);
});
