// The gallery reads its rows page by page and signs each page's links with one request.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { BUCKET, barriers, enter, installClock, leave, sessionOf, startSite } from "./support.mjs";

const LIGHTHOUSE = readFileSync(new URL("../data/lighthouse.png", import.meta.url));
const COUNT = 30;

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await installClock(page);
  await enter(page);
  await page.locator("#gallery-empty").waitFor();
  await fill((await sessionOf(page)).user.id);
  await page.reload();
  await page.locator("#grid img").first().waitFor();
});
after(() => site?.close());

/** Thirty images, oldest first; the fifth newest has lost its object. */
async function fill(owner) {
  const rows = Array.from({ length: COUNT }, (_, i) => ({
    owner_user_id: owner,
    prompt: `picture ${i + 1}`,
    prompt_hash: "0".repeat(64),
    backend: "test-backend",
    model: "model-7",
    seed: "9007199254740993",
    steps: 28,
    width: 1200,
    height: 800,
    latency_ms: 4321,
    cost_usd_estimate: 0.0025,
    storage_path: `${owner}/2026-05-11/picture-${i + 1}.png`,
    // Some of them at the very same time: their ids decide.
    created_at: new Date(Date.UTC(2026, 4, 11, 12, Math.floor(i / 4))).toISOString(),
  }));
  const { error } = await site.admin.schema("imagen").from("images").insert(rows);
  assert.equal(error, null);
  const objects = rows.filter(({ prompt }) => prompt !== "picture 26");
  for (const { storage_path: path } of objects) {
    const stored = await site.admin.storage.from(BUCKET).upload(path, LIGHTHOUSE, { contentType: "image/png" });
    assert.equal(stored.error, null);
  }
}

const signings = () => site.recorder.requests.filter(({ target }) => target === `/storage/v1/object/sign/${BUCKET}`);
const tiles = () => page.locator("#grid li:not(.blank)");

test("it shows the newest, then more when asked, each page's links signed with one request", async () => {
  site.recorder.requests.length = 0;
  await page.reload();
  await page.locator("#grid img").first().waitFor();
  assert.equal(await tiles().count(), 12);
  assert.equal(await page.locator("#gallery-meta").textContent(), "the last 12");
  assert.equal(await page.getByText("Its file is gone").locator("visible=true").count(), 1);
  assert.equal(signings().length, 1);

  const more = page.getByRole("button", { name: "Show more" });
  await more.focus();
  await page.keyboard.press("Enter");
  await tiles().nth(23).waitFor();
  assert.equal(
    await tiles()
      .nth(12)
      .locator("button")
      .evaluate((button) => button === document.activeElement),
    true,
  );
  await more.click();
  await tiles()
    .nth(COUNT - 1)
    .waitFor();
  await more.waitFor({ state: "hidden" });
  assert.equal(signings().length, 3);

  const shown = await tiles().locator(".tile-title").allTextContents();
  const { data } = await site.admin
    .schema("imagen")
    .from("images")
    .select("prompt")
    .order("created_at", { ascending: false })
    .order("id");
  assert.deepEqual(
    shown,
    data.map(({ prompt }) => prompt),
  );
  assert.equal(await page.locator("#gallery-meta").textContent(), String(COUNT));
  assert.deepEqual(page.complaints, []);
});

test("a picture's details are all there, and the keyboard comes back to its place", async () => {
  const tile = page.getByRole("button", { name: "picture 30" });
  await tile.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "picture 30" });
  await dialog.waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "details-title");
  const facts = await dialog
    .locator("#details-facts")
    .evaluate((list) =>
      Object.fromEntries(
        [...list.children].map(({ children: [name, value] }) => [name.textContent, value.textContent]),
      ),
    );
  const { user } = await sessionOf(page);
  assert.match(facts.Created, /2026/);
  assert.deepEqual(
    { ...facts, Created: "" },
    {
      "Made by": "test-backend",
      Model: "model-7",
      Seed: "9007199254740993",
      Steps: "28",
      Size: "1200 × 800 px",
      Took: "4,321 ms",
      Cost: "$0.0025",
      Created: "",
    },
  );
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await dialog.getByText("Path and id").click();
  await dialog.getByRole("button", { name: "Copy storage path" }).click();
  await dialog.getByText("Copied").waitFor();
  const path = `${user.id}/2026-05-11/picture-30.png`;
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), path);
  assert.equal(await dialog.locator("#details-path").textContent(), path);
  assert.match(await dialog.locator("#details-id").textContent(), /^[0-9a-f-]{36}$/);
  assert.deepEqual(await barriers(page), []);

  // It stays within the dialog.
  for (let i = 0; i < 4; i++) await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.querySelector("#grid").contains(document.activeElement)), false);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await tile.evaluate((button) => button === document.activeElement), true);
});

test("its link can be copied, and its file saved under its own name", async () => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "picture 29" }).click();
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText(/^Copied/).waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const answer = await fetch(link);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), LIGHTHOUSE);

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download" }).click(),
  ]);
  assert.equal(download.suggestedFilename(), "picture-29.png");
  assert.deepEqual(readFileSync(await download.path()), LIGHTHOUSE);
  await page.getByRole("button", { name: "Close" }).click();
  assert.deepEqual(page.complaints, []);
});

test("a picture whose file is gone still tells what is known of it", async () => {
  await page.getByRole("button", { name: "picture 26" }).click();
  const dialog = page.getByRole("dialog", { name: "picture 26" });
  assert.equal(await dialog.getByText("Its file is gone").isVisible(), true);
  assert.equal(await dialog.getByRole("button", { name: "Download" }).isHidden(), true);
  await page.keyboard.press("Escape");
});

test("links are renewed before they expire, all with one request", async () => {
  site.recorder.requests.length = 0;
  const linkOf = async () => {
    await page.getByRole("button", { name: "picture 28" }).click();
    const link = await page.locator("#details-image").getAttribute("src");
    await page.keyboard.press("Escape");
    return link;
  };
  const first = await linkOf();
  await page.clock.fastForward("46:00");
  await until(async () => (await linkOf()) !== first, "another link");
  assert.equal(signings().length, 1);
  assert.equal((await fetch(await linkOf())).status, 200);
});

test("rows that can't be read are told of in words of their own, and read again by themselves", async () => {
  // The dialog's end is a step back in the browser's history.
  await page.waitForFunction(() => location.hash === "");
  const headers = { "access-control-allow-origin": "*" };
  const json = { code: "42501", message: "permission denied for table images" };
  await page.route("**/rest/v1/images?*", (route) => route.fulfill({ status: 403, headers, json }));
  await page.reload();
  await page.locator("#gallery-failed").waitFor();
  assert.match(await page.locator("#gallery-failed-hint").textContent(), /policy refused/);
  site.recorder.offline(true);
  await page.unrouteAll({ behavior: "wait" });
  const again = page.getByRole("button", { name: "Try again" });
  await again.click();
  await page.getByText("The server can't be reached. Your pictures are safe there.").waitFor();
  assert.equal(await again.evaluate((button) => button === document.activeElement), true);
  assert.deepEqual(await barriers(page), []);

  site.recorder.offline(false);
  await page.clock.fastForward("01:01");
  await page.locator("#grid img").first().waitFor();
  assert.equal(await page.locator("#gallery-failed").count(), 0);
  // The button is gone that had the keyboard.
  assert.equal(await page.evaluate(() => document.activeElement.id), "gallery-title");
});

test("who asks for newer pictures while a reading fails need not wait for the next one", async () => {
  await page.evaluate(() => {
    const { setTimeout: set } = window;
    window.setTimeout = (work, ms, ...given) => (ms === 2000 ? 0 : set(work, ms, ...given));
  });
  const read = { method: "GET", target: "/rest/v1/images" };
  const body = { code: "42501", message: "permission denied for table images" };
  const relent = site.recorder.answer({ ...read, status: 403, body });
  const hold = site.recorder.hold({ ...read, at: "answer" });
  const ask = () => page.evaluate(() => dispatchEvent(new Event("online")));
  await ask();
  await hold.reached;
  relent();
  await ask();
  const again = page.waitForResponse((answer) => answer.url().includes(read.target) && answer.ok());
  hold.release();
  await again;
  await page.getByText("Newer pictures can't be shown now").waitFor({ state: "detached" });
  await page.reload();
  await page.locator("#grid img").first().waitFor();
});

test("pictures that are known stay while newer ones can't be read", async () => {
  const count = await tiles().count();
  site.recorder.offline(true);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await page.getByText("Newer pictures can't be shown now").waitFor();
  assert.equal(await tiles().count(), count);
  site.recorder.offline(false);
  await page.clock.fastForward("01:01");
  await page.getByText("Newer pictures can't be shown now").waitFor({ state: "detached" });
});

test("who signs in at a server that hangs is told so after a while, and the keyboard stays", async () => {
  await leave(page);
  const hold = site.recorder.hold({ method: "POST", target: "/auth/v1/token", at: "answer" });
  await page.getByLabel("Email").fill("nobody@example.com");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await hold.reached;
  await page.clock.fastForward("00:21");
  await page.getByText("Can't reach the server").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Sign in");
  hold.release();
});
