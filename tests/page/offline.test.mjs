// The installed app: it opens without a connection, and sends without a page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { dispatchSync, stopWorkers } from "../support/background.mjs";
import { until } from "../support/until.mjs";
import { enqueue, enter, expire, job, sessionOf, startSite } from "./support.mjs";

let site;
let page;
let context;
before(async () => {
  site = await startSite();
  page = await site.openPage({ worker: true });
  context = page.context();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller);
});
after(() => site?.close());

/** Playwright's own way leaves `navigator.onLine` true after a reload. */
async function seeOffline() {
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const network = { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
  await session.send("Network.overrideNetworkState", network);
  return session;
}

test("the manifest is valid, and its icons are what it says", async () => {
  const session = await context.newCDPSession(page);
  const { url, errors, data } = await session.send("Page.getAppManifest");
  assert.equal(url, `${site.web.url}/manifest.webmanifest`);
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // Nothing can be installed from a private window, which a test's is.
  assert.deepEqual(
    installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito"),
    [],
  );
  const { icons, name, start_url: start, display } = JSON.parse(data);
  assert.deepEqual([name, start, display], ["imagen-cloud", "/", "standalone"]);
  for (const { src, sizes, type } of icons) {
    const answer = await fetch(site.web.url + src);
    assert.equal(answer.headers.get("content-type"), type);
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (type === "image/png") assert.equal(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, sizes);
  }
});

test("two pictures sent offline outlive the app's reload and its tab, and both arrive with no page open", async () => {
  await enter(page);
  await page.locator("#gallery-empty").waitFor();
  await context.setOffline(true);
  await page.locator("#offline").waitFor();
  assert.match(await page.getByRole("log").textContent(), /You're offline/);
  await enqueue(page, ["first of two", "second of two"]);
  assert.equal(await job(page, "first of two").locator(".job-state").textContent(), "Waits for a connection");

  await page.reload();
  await job(page, "second of two").locator("img").waitFor();
  const network = await seeOffline();
  await page.locator("#offline").waitFor();
  await page.locator("#gallery-offline").waitFor();
  assert.equal(await page.locator("#account").isVisible(), true);
  await enqueue(page, ["third"]);
  const { user } = await sessionOf(page);
  await network.detach();
  await page.close();

  await context.setOffline(false);
  await stopWorkers(context);
  await dispatchSync(context, site.web.url);
  const prompts = async () => {
    const rows = await site.supabase.sql("select prompt from imagen.images where owner_user_id = $1", [user.id]);
    return rows.map(({ prompt }) => prompt).sort();
  };
  await until(async () => (await prompts()).length === 3, "three rows");
  assert.deepEqual(await prompts(), ["first of two", "second of two", "third"]);

  page = await site.openPage({ context });
  await page.getByRole("heading", { name: "3 pictures that waited have arrived" }).waitFor();
  // The service worker's requests are told like the page's own.
  await page.locator("#arrival-tale").getByText("Arrived once, ").waitFor();
  await page.locator("#arrival summary", { hasText: "Details" }).click();
  await page
    .locator("#arrival-log")
    .getByText(/^Row, first try: done$/)
    .waitFor();
  await page.locator("#grid li:nth-child(3) img").waitFor();
  assert.equal(await page.locator("#jobs > li").count(), 0);
  assert.deepEqual(page.complaints, []);
});

test("with no page open it goes by the way that was chosen last", async () => {
  const owner = async (prompt) => {
    const [object] = await site.supabase.sql(
      `select owner_id from storage.objects join imagen.images on name = storage_path where prompt = $1`,
      [prompt],
    );
    return object && { owner: object.owner_id };
  };
  for (const [route, prompt] of [
    ["worker", "by the Worker"],
    ["direct", "by the user"],
  ]) {
    await page.locator(`input[value=${route}]`).check();
    await context.setOffline(true);
    await page.locator("#offline").waitFor();
    await enqueue(page, [prompt]);
    const { user } = await sessionOf(page);
    await page.close();
    await context.setOffline(false);
    await dispatchSync(context, site.web.url);
    const found = await until(() => owner(prompt), `${prompt} to arrive`);
    // The Worker writes with the service key, which is nobody.
    assert.equal(found.owner, route === "worker" ? null : user.id);
    page = await site.openPage({ context });
    await page.locator("#grid li", { hasText: prompt }).waitFor();
  }
});

test("a picture's address that is opened offline opens it once there is a connection", async () => {
  const tile = page.locator("#grid li button").first();
  const id = (await tile.getAttribute("id")).replace("tile-", "");
  await context.setOffline(true);
  await page.goto("about:blank");
  await page.goto(`${site.web.url}/#/image/${id}`);
  await page
    .locator("#gallery-offline, #gallery-failed")
    .getByText("The picture that you came for opens then.")
    .waitFor();
  assert.equal(await page.evaluate(() => location.hash), `#/image/${id}`);
  await context.setOffline(false);
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("its cache holds the app and nothing else; the outbox's held images until they arrived", async () => {
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return names.map((name, i) => ({ name, urls: requests[i].map(({ url }) => url) }));
  });
  const [shell, ...others] = kept.toSorted(({ name }) => (name.startsWith("imagen-cloud-shell-") ? -1 : 1));
  assert.match(shell.name, /^imagen-cloud-shell-[0-9a-f]{12}$/);
  // The outbox keeps its copies apart, and none when all has arrived.
  for (const { name, urls } of others) assert.deepEqual([name.startsWith("imagen-cloud-outbox-"), urls], [true, []]);
  const paths = shell.urls.map((url) => {
    assert.ok(url.startsWith(`${site.web.url}/`), url);
    return url.slice(site.web.url.length);
  });
  assert.deepEqual(
    paths.filter((path) => /^\/(api|imagen-cloud-outbox)\//.test(path)),
    [],
  );
  for (const path of ["/", "/config.json", "/manifest.webmanifest"]) assert.ok(paths.includes(path), path);
  for (const ending of [".js", ".css", ".wasm", ".woff2"]) assert.ok(paths.some((path) => path.endsWith(ending)));
});

test("a session whose token has expired offline is still the user's", async () => {
  await expire(page);
  await context.setOffline(true);
  await page.reload();
  await page.getByRole("button", { name: "Send to Supabase" }).waitFor();
  await enqueue(page, ["with an old token"]);
  await context.setOffline(false);
  await page.locator("#grid li", { hasText: "with an old token" }).waitFor();
  assert.ok((await sessionOf(page)).expires_at > 1);
});

test("a server that answers with its page for the configuration spoils neither the page nor what is kept", async () => {
  await context.route("**/config.json", (route) =>
    route.fulfill({ contentType: "text/html", body: "<!doctype html>" }),
  );
  try {
    await page.reload();
    await page.getByRole("button", { name: "Send to Supabase" }).waitFor();
    await context.setOffline(true);
    await page.reload();
    await page.getByRole("button", { name: "Send to Supabase" }).waitFor();
  } finally {
    await context.setOffline(false);
    await context.unroute("**/config.json");
  }
  await page.reload();
});

test("a newer version on the server is told of", async () => {
  const { files } = site.web;
  const built = new Map(["/sw.js", "/index.html"].map((path) => [path, files.get(path)]));
  files.set("/sw.js", String(built.get("/sw.js")).replace(/"version":"\w+"/, '"version":"newer"'));
  files.set("/index.html", String(built.get("/index.html")).replace(/\/assets\/index-[\w-]+\.js/, "/assets/newer.js"));
  const note = page.locator("#new-version");
  assert.equal(await note.count(), 0);
  await page.evaluate(async () => (await navigator.serviceWorker.ready).update());
  await note.getByRole("button", { name: "Reload" }).waitFor();
  for (const [path, body] of built) files.set(path, body);
});
