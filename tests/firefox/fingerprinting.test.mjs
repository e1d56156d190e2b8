// A Firefox that hides its user's machine from pages (Tor Browser, LibreWolf, Mullvad Browser): what a page reads of a canvas
// is noise. None of that may go in a picture's place.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { startServers } from "../page/support.mjs";
import { startFirefox } from "../support/firefox.mjs";
import { exifOf, jpegWith } from "../support/metadata.mjs";
import { startSite } from "../support/site.mjs";

let servers;
let site;
let browser;
let folder;
before(async () => {
  const prefs = { "privacy.resistFingerprinting": true };
  [servers, site, browser] = await Promise.all([startServers(), startSite(), startFirefox(prefs)]);
  folder = await mkdtemp(path.join(os.tmpdir(), "imagen-place-"));
});
after(async () => {
  await browser?.close();
  await Promise.all([servers?.close(), site?.close()]);
  if (folder) await rm(folder, { recursive: true });
});

/** A page of a visitor of its own. */
async function open(t, url) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

test("no small picture goes beside an image, which arrives as it is", async (t) => {
  const page = await open(t, `${site.url}/data/lighthouse.jpg`);
  const arrived = await page.evaluate(async () => {
    const { createSink } = await import("/pkg/browser.js");
    const { createFakeProject } = await import("/pkg/testing/index.js");
    const project = createFakeProject();
    const sink = await createSink({ ...project.options, thumbnail: { side: 64 } });
    const image = await (await fetch("/data/lighthouse.png")).blob();
    await sink.sync({ image, seed: 1, prompt: "p", backend: "b" });
    return [...project.objects].map(([name, { bytes }]) => [name.endsWith(".thumb"), bytes.length === image.size]);
  });
  assert.deepEqual(arrived, [[false, true]]);
});

test("a photo that can't be written anew without its place is not sent, and a drawn picture is not either", async (t) => {
  const page = await open(t, servers.web.url);
  const problem = (words) =>
    page.waitForFunction((words) => document.body.textContent.includes(words), { timeout: 30_000 }, words);
  await page.locator("#email").fill(`${randomUUID()}@example.com`);
  await page.locator("#password").fill("correct horse");
  await page.locator("#sign-in button[value=sign-up]").click();
  await page.locator("#gallery-empty").wait();
  await page.locator("#send").click();
  await problem("This browser could not make a PNG of it.");

  const photo = await readFile(new URL("../data/lighthouse.jpg", import.meta.url));
  const file = path.join(folder, "at-home.jpg");
  await writeFile(file, jpegWith(photo, exifOf({ place: { latitude: 52.5163, longitude: 13.3777 } })));
  await (await page.$("#file")).uploadFile(file);
  await page.locator("#leave-place-out").click();
  await page.locator("#send").click();
  await problem("can't be encoded anew by this browser");
  assert.deepEqual(await servers.supabase.sql("select name from storage.objects"), []);
});
