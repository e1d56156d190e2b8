// What the app is for, from the first visit to five pictures in the gallery, in whichever browser opens the tabs: what
// Playwright and Puppeteer have in common is enough.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { until } from "../support/until.mjs";
import { BUCKET } from "./support.mjs";

const LARGE = 40_000_000;

/**
 * @param {object} world
 * @param {Awaited<ReturnType<import("./support.mjs").startServers>>} world.servers
 * @param {() => Promise<object>} world.openTab Another tab of the same visitor, on the app.
 * @param {(tab: object, offline: boolean) => Promise<void>} world.setOffline
 */
export async function travel({ servers, openTab, setOffline }) {
  const email = `${randomUUID()}@example.com`;
  let tab = await openTab();
  await shown(tab, "#welcome");
  await tab.locator("#email").fill(email);
  await tab.locator("#password").fill("correct horse");
  await tab.locator("#sign-in button[value=sign-up]").click();
  await shown(tab, "#gallery-empty");
  await tab.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const rows = () =>
    servers.supabase.sql(
      `select prompt, storage_path from imagen.images
        where owner_user_id = (select id from auth.users where email = $1)`,
      [email],
    );

  await choose(tab, "direct");
  await draw(tab, "a lighthouse at dusk");
  await count(tab, "#grid img", 1);
  await choose(tab, "worker");
  await draw(tab, "snow over a fjord");
  await count(tab, "#grid img", 2);
  await chooseLargeFile(tab, "a-very-large-one.png");
  await tab.locator("#send").click();
  await count(tab, "#grid img", 3);
  const pieces = servers.recorder.requests.filter(({ target }) => target.includes("/upload/resumable/sign"));
  assert.ok(pieces.length > LARGE / (6 * 1024 * 1024), "it went by a ticket");

  await setOffline(tab, true);
  await shown(tab, "#offline");
  await tab.locator("#back-to-drawing").click();
  await draw(tab, "pine forest at dawn");
  await count(tab, "#jobs > li", 1);
  await draw(tab, "moon on a lake");
  await count(tab, "#jobs > li", 2);
  await tab.close();
  assert.equal((await rows()).length, 3);

  tab = await openTab();
  await setOffline(tab, false);
  await count(tab, "#grid img", 5);
  await count(tab, "#jobs > li", 0);
  const arrived = await rows();
  assert.deepEqual(arrived.map(({ prompt }) => prompt).toSorted(), [
    "a lighthouse at dusk",
    "a very large one",
    "moon on a lake",
    "pine forest at dawn",
    "snow over a fjord",
  ]);
  const stored = await servers.supabase.sql("select name, metadata from storage.objects where bucket_id = $1", [
    BUCKET,
  ]);
  // The small ones beside them are the images'.
  const objects = stored.filter(({ name }) => !name.endsWith(".thumb"));
  assert.deepEqual(
    objects.map(({ name }) => name).toSorted(),
    arrived.map(({ storage_path: path }) => path).toSorted(),
  );
  const large = objects.find(({ name }) => name.includes("a-very-large-one"));
  assert.equal(Number(large.metadata.size), LARGE);
}

export function shown(tab, selector) {
  return until(() => tab.evaluate((of) => document.querySelector(of)?.checkVisibility() ?? false, selector), selector);
}

/** Waits until so many elements are there; a browser that draws large pictures on a busy machine takes its time. */
function count(tab, selector, number) {
  const counted = () => tab.evaluate((of) => document.querySelectorAll(of).length, selector);
  return until(async () => (await counted()) === number, `${number} of ${selector}`, 120_000);
}

async function choose(tab, route) {
  await tab.locator(`label.choice:has(input[value=${route}])`).click();
}

async function draw(tab, prompt) {
  await tab.locator("#prompt").fill(prompt);
  await tab.locator("#send").click();
}

/** A picture of the page's own, with as much behind its end as it takes. */
function chooseLargeFile(tab, name) {
  return tab.evaluate(
    async ([name, size]) => {
      const picture = await new Promise((resolve) => document.querySelector("#canvas").toBlob(resolve));
      const files = new DataTransfer();
      files.items.add(new File([picture, new Uint8Array(size - picture.size)], name, { type: "image/png" }));
      const input = document.querySelector("#file");
      input.files = files.files;
      input.dispatchEvent(new Event("change"));
    },
    [name, LARGE],
  );
}
