// The app in Safari's engine, which has no Background Sync: what waits goes out when the app is opened again.
import { after, before, test } from "node:test";
import { shown, travel } from "../page/journey.mjs";
import { startServers } from "../page/support.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { mendAfterEach } from "../support/shared.mjs";
import { until } from "../support/until.mjs";
import { startWebkit } from "../support/webkit.mjs";

let servers;
let browser;
/** In front of the app and the Worker: its driver can't take the browser off the network. */
let web;
let stopMending;
before(async () => {
  [servers, browser] = await Promise.all([startServers(), startWebkit()]);
  web = await startRecorder({ target: servers.web.url });
  stopMending = mendAfterEach(() => {
    for (const proxy of [web, servers.recorder]) proxy.mend();
  });
});
after(async () => {
  stopMending?.();
  await browser?.close();
  await web?.close();
  await servers?.close();
});

test("a user signs up, makes three pictures, one of 40 MB, and two more offline; all five are in the gallery", async () => {
  const context = await browser.newContext();
  await travel({
    servers,
    openTab: async () => {
      const page = await context.newPage();
      await page.setViewport({ width: 1280, height: 900 });
      await page.goto(web.url);
      return page;
    },
    async setOffline(page, offline) {
      for (const proxy of [web, servers.recorder]) proxy.offline(offline);
      await page.evaluate(SAY_SO, !offline);
    },
  });
});

test("a page that is left while it reads its session and writes its journal keeps no other from either, and goes on when it is shown again", async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(web.url);
  await shown(page, "#welcome");
  await page.locator("#demo").click();
  await shown(page, "#gallery-empty");
  await page.evaluate(sendAndRead);

  await page.goto(`${web.url}/?second`);
  await shown(page, "#grid img");
  await page.locator("#sign-out").click();
  await page.locator("#leave").click();
  await shown(page, "#welcome");
  const kept = () => page.evaluate(countOf, ["imagen-cloud-journal", "pictures"]);
  await until(async () => (await kept()) === 0, "the journal of who is gone to be empty");

  await page.evaluate(() => history.back()).catch(() => undefined);
  await until(() => page.evaluate(() => window.wentOn), "the first page, as it was");
  for (const store of ["session", "pictures"]) {
    await until(() => page.evaluate((name) => window.wentOn.includes(name), store), `${store}, once more`);
  }
});

/**
 * Runs in a page: sends a picture, and ends in the midst of a reading of the journal that does not end by itself, with one of the
 * session that begins when the page is left. `wentOn` names those that go on when it is shown again.
 */
function sendAndRead() {
  window.wentOn = [];
  const { get } = IDBObjectStore.prototype;
  const isUnderWay = new Promise((resolve) => {
    let isJournals = true;
    IDBObjectStore.prototype.get = function (...args) {
      const request = get.apply(this, args);
      if (this.name === "pictures" && isJournals) {
        isJournals = false;
        // Each answer is followed by a question.
        const next = () => get.apply(this, args).addEventListener("success", next);
        request.addEventListener("success", next);
        resolve();
      } else {
        request.addEventListener("success", () => window.wentOn.push(this.name));
      }
      return request;
    };
  });
  const { open } = IDBFactory.prototype;
  const isOpening = new Promise((resolve) => {
    IDBFactory.prototype.open = function (...args) {
      const request = open.apply(this, args);
      if (args[0] !== "imagen-cloud-session") return request;
      IDBFactory.prototype.open = open;
      const hold = (event) => {
        event.stopImmediatePropagation();
        request.removeEventListener("success", hold);
        addEventListener("pagehide", () => request.dispatchEvent(new Event("success")), { once: true });
        resolve();
      };
      request.addEventListener("success", hold);
      return request;
    };
  });
  document.querySelector("#send").click();
  return Promise.all([isUnderWay, isOpening]).then(() => {
    window.wentOn = [];
  });
}

/** Runs in a page: how many records a store of a database has. */
function countOf([database, store]) {
  return new Promise((resolve) => {
    indexedDB.open(database).onsuccess = ({ target: { result } }) => {
      result.transaction(store).objectStore(store).count().onsuccess = (counted) => {
        result.close();
        resolve(counted.target.result);
      };
    };
  });
}

/** What the browser would say of its connection. */
const SAY_SO = (isOnline) => {
  Object.defineProperty(navigator, "onLine", { configurable: true, get: () => isOnline });
  dispatchEvent(new Event(isOnline ? "online" : "offline"));
};
