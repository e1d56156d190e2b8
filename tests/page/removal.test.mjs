// Pictures that are deleted, and what can be undone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { BUCKET, barriers, endlessPatience, enter, holdUndo, send, sessionOf, startSite } from "./support.mjs";

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await page.addInitScript(holdUndo);
  await page.reload();
  await enter(page);
  for (const prompt of ["the oldest", "the middle", "the newest"]) await send(page, { prompt });
  await tile("the newest").waitFor();
});
after(() => site?.close());

const tile = (name) => page.locator("#grid").getByRole("button", { name });
const promptsOf = async () => (await site.rowsOf(page)).map(({ prompt }) => prompt);
const shown = () => page.locator("#grid .tile-title").allTextContents();
/** A deletion can be undone so long, and no longer. */
const untilItIsDone = () => page.evaluate(() => window.endUndo());
const isFocused = (locator) => locator.evaluate((element) => element === document.activeElement);

async function objects() {
  const { user } = await sessionOf(page);
  const rows = await site.supabase.sql(
    "select name from storage.objects where bucket_id = $1 and name like $2 and name not like '%.thumb'",
    [BUCKET, `${user.id}/%`],
  );
  return rows.length;
}

async function remove(name) {
  await tile(name).click();
  await page.getByRole("dialog", { name }).waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
}

/** Changes when what is being deleted is to be deleted, in ms since 1970, for pages that open from now on. */
const putOff = (until) =>
  page.evaluate((until) => {
    const [key, kept] = Object.entries(localStorage).find(([key]) => key.startsWith("imagen-cloud-deleting-"));
    const due = Object.keys(JSON.parse(kept)).map((id) => [id, until]);
    localStorage.setItem(key, JSON.stringify(Object.fromEntries(due)));
  }, until);

test("a deletion is undone by keyboard alone, and nothing was deleted", async () => {
  await tile("the middle").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "the middle" }).waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).focus();
  await page.keyboard.press("Enter");
  const undo = page.getByRole("button", { name: "Undo" });
  await undo.waitFor();
  assert.equal(await isFocused(undo), true);
  assert.deepEqual(await shown(), ["the newest", "the oldest"]);
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Enter");
  await tile("the middle").waitFor();
  assert.deepEqual(await shown(), ["the newest", "the middle", "the oldest"]);
  assert.equal(await isFocused(tile("the middle")), true);
  assert.deepEqual(await promptsOf(), ["the newest", "the middle", "the oldest"]);
  assert.match(await page.getByRole("log").textContent(), /“the middle” is deleted.*“the middle” is back/);
});

test("a deleted picture's row and object go when its time to be undone is over", async () => {
  await remove("the middle");
  assert.equal((await promptsOf()).length, 3);
  await untilItIsDone();
  await until(async () => (await promptsOf()).length === 2, "the row to go");
  await page.locator("#removed").waitFor({ state: "detached" });
  assert.equal(await isFocused(tile("the oldest")), true);
  assert.equal(await objects(), 2);
  await page.reload();
  await tile("the newest").waitFor();
  assert.deepEqual(await shown(), ["the newest", "the oldest"]);
});

test("what was deleted when the page was left is deleted at the next visit", async () => {
  await remove("the oldest");
  await putOff(0);
  await page.reload();
  await until(async () => (await promptsOf()).length === 1, "the row to go");
  await tile("the newest").waitFor();
  assert.deepEqual(await shown(), ["the newest"]);
  await until(() => page.evaluate(() => localStorage.length === 0), "nothing to be kept");
});

test("what can be undone in one page is deleted by no other one, and is there again when it was", async () => {
  await send(page, { prompt: "undone in time" });
  await tile("undone in time").waitFor();
  await remove("undone in time");
  // As far off as can be, however long another page takes to open.
  await putOff(Number.MAX_SAFE_INTEGER);
  const other = await page.context().newPage();
  await other.addInitScript(holdUndo);
  await other.goto(page.url());
  await other.locator("#grid").getByRole("button", { name: "the newest" }).waitFor();
  const theirs = other.locator("#grid").getByRole("button", { name: "undone in time" });
  assert.equal(await theirs.count(), 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await tile("undone in time").waitFor();
  await other.evaluate(() => window.endUndo());
  await theirs.waitFor();
  assert.ok((await promptsOf()).includes("undone in time"));
  await other.close();
  await remove("undone in time");
  await untilItIsDone();
  await until(async () => !(await promptsOf()).includes("undone in time"), "the row to go");
  await page.reload();
  await tile("the newest").waitFor();
});

test("a deletion that finds the server down at the next visit is tried at the one after it", async () => {
  await send(page, { prompt: "deleted for good" });
  await tile("deleted for good").waitFor();
  await remove("deleted for good");
  const relent = site.recorder.answer({
    method: "DELETE",
    target: "/storage/v1/object/",
    status: 503,
    headers: { "retry-after": "3600", "access-control-expose-headers": "retry-after" },
    body: {},
  });
  const answered = () => site.recorder.requests.filter(({ method, endedAt }) => method === "DELETE" && endedAt).length;
  const before = answered();
  await putOff(0);
  await page.reload();
  await until(() => answered() > before, "an answer");
  await tile("the newest").waitFor();
  relent();
  await page.reload();
  await until(async () => !(await promptsOf()).includes("deleted for good"), "the row to go");
  await until(() => page.evaluate(() => localStorage.length === 0), "nothing to be kept");
});

test("what can't be deleted is back with the reason, and can be tried again", async () => {
  const body = { statusCode: "403", error: "Unauthorized", message: "new row violates row-level security policy" };
  const accept = site.recorder.answer({ method: "DELETE", target: "/storage/v1/object/", status: 400, body });
  await remove("the newest");
  await untilItIsDone();
  const bar = page.locator("#removed");
  await bar.getByText("“the newest” could not be deleted: Not allowed.").waitFor();
  assert.deepEqual(await shown(), ["the newest"]);
  assert.deepEqual(await barriers(page), []);
  accept();
  await bar.getByRole("button", { name: "Try again" }).click();
  await untilItIsDone();
  await until(async () => (await promptsOf()).length === 0, "the row to go");
  await page.locator("#gallery-empty").waitFor();
  assert.equal(await objects(), 0);
});

test("who signs out at once has it deleted all the same", async () => {
  await send(page, { prompt: "on the way out" });
  const { user } = await sessionOf(page);
  await tile("on the way out").waitFor();
  await remove("on the way out");
  await page.evaluate(endlessPatience);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "End it" }).click();
  await page.locator("#welcome").waitFor();
  const rows = await site.supabase.sql("select id from imagen.images where owner_user_id = $1", [user.id]);
  assert.deepEqual(rows, []);
  assert.equal(await page.evaluate(() => localStorage.length), 0);
});
