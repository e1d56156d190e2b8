// The gallery and what happens to the user's pictures elsewhere. The embedded Supabase has no Realtime: a double of its wire.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { startRealtime } from "../support/realtime.mjs";
import { until } from "../support/until.mjs";
import { BUCKET, enter, holdUndo, leave, PICTURE_SIDE, send, sessionOf, startSite } from "./support.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));

let site;
let realtime;
let page;
before(async () => {
  site = await startSite({ pictureSide: PICTURE_SIDE, realtime: true });
  realtime = startRealtime(site.recorder.server);
  page = await site.openPage();
  await enter(page);
  await realtime.until({ channels: 1 });
});
after(async () => {
  realtime?.close();
  await site?.close();
});

/** A picture of the user's that another device has sent. */
async function sentElsewhere(prompt) {
  const { user } = await sessionOf(page);
  const id = randomUUID();
  const row = {
    ...{ id, owner_user_id: user.id, prompt, prompt_hash: "0".repeat(64), backend: "elsewhere" },
    storage_path: `${user.id}/elsewhere/${id}.png`,
  };
  const stored = await site.admin.storage.from(BUCKET).upload(row.storage_path, PNG, { contentType: "image/png" });
  assert.equal(stored.error, null);
  const inserted = await site.admin.schema("imagen").from("images").insert(row);
  assert.equal(inserted.error, null);
  return row;
}

const tile = (prompt) => page.locator("#grid li", { hasText: prompt });

test("a picture of another device is there without a reload, and gone when it is deleted there", async () => {
  const own = await send(page, { prompt: "sent from here" });
  const row = await sentElsewhere("sent from another device");
  realtime.inserted(row);
  await tile("sent from another device").locator("img").waitFor();
  await tile("sent from another device").getByRole("button").click();
  await page.getByRole("dialog").waitFor();
  realtime.removed(row.id);
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await tile("sent from another device").waitFor({ state: "detached" });
  // Anybody's removals are told: what is not shown here changes nothing.
  realtime.removed(randomUUID());
  realtime.removed(own.imageId);
  await page.locator("#gallery-empty").waitFor();
  assert.deepEqual(page.complaints, []);
});

test("what another device deletes while it could be undone here can't be undone any more", async () => {
  const { imageId } = await send(page, { prompt: "deleted twice" });
  await page.evaluate(holdUndo);
  await tile("deleted twice").getByRole("button").click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  realtime.removed(imageId);
  await page.locator("#removed").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await tile("deleted twice").waitFor({ state: "detached" });
});

test("after the line was lost it listens again, and reads what it missed", async () => {
  await sentElsewhere("sent meanwhile"); // of which nobody tells it
  realtime.drop();
  await tile("sent meanwhile").waitFor();
  await realtime.until({ channels: 1 });
  assert.equal(realtime.tokens.at(-1), (await sessionOf(page)).access_token);
});

test("a token that is renewed is handed on", async () => {
  await page.clock.install();
  // The page before may still be listening for a moment: the one that is meant brings a token of its own.
  const tokens = realtime.tokens.length + 1;
  await page.reload();
  await realtime.until({ channels: 1, tokens });
  const before = await sessionOf(page);
  assert.equal(realtime.tokens.at(-1), before.access_token, "a channel that joins without a token hears of no row");
  await page.clock.fastForward(before.expires_in * 1000 - 30_000);
  await realtime.until({ old: before.access_token });
  assert.equal(realtime.tokens.at(-1), (await sessionOf(page)).access_token);
});

test("a page that was opened without a line listens once there is one", async () => {
  let tries = 0;
  let isThere = false;
  await page.routeWebSocket(/realtime/, (socket) => {
    tries += 1;
    if (isThere) socket.connectToServer();
    else socket.close({ code: 1011 });
  });
  await page.reload();
  await until(() => tries >= 3, "as many tries as there are");
  isThere = true;
  await realtime.until({ channels: 0 });
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await realtime.until({ channels: 1 });
  const row = await sentElsewhere("heard of again");
  realtime.inserted(row);
  await tile("heard of again").waitFor();
});

test("who signs out hears of nothing any more", async () => {
  await leave(page);
  await realtime.until({ channels: 0 });
  await enter(page);
  await realtime.until({ channels: 1 });
});

test("a project without Realtime is as good, and is not tried for ever", async () => {
  realtime.close();
  const other = await site.openPage();
  const tries = [];
  other.on("websocket", (socket) => tries.push(socket));
  await other.clock.install();
  await other.reload();
  await enter(other);
  await until(() => tries.length > 0, "the first try");
  await send(other, { prompt: "all the same" });
  await until(async () => {
    await other.clock.fastForward(15_000);
    return tries.length === 3 && tries.every((socket) => socket.isClosed());
  }, "as many tries as there are, and their ends");
  // Time for as many as there would be.
  for (let i = 0; i < 10; i++) await other.clock.fastForward(15_000);
  assert.equal(tries.length, 3);
});
