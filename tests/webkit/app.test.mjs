// The app in Safari's engine, which has no Background Sync: what waits goes out when the app is opened again.
import { after, before, test } from "node:test";
import { travel } from "../page/journey.mjs";
import { startServers } from "../page/support.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { startWebkit } from "../support/webkit.mjs";

let servers;
let browser;
/** In front of the app and the Worker: its driver can't take the browser off the network. */
let web;
before(async () => {
  [servers, browser] = await Promise.all([startServers(), startWebkit()]);
  web = await startRecorder({ target: servers.web.url });
});
after(async () => {
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

/** What the browser would say of its connection. */
const SAY_SO = (isOnline) => {
  Object.defineProperty(navigator, "onLine", { configurable: true, get: () => isOnline });
  dispatchEvent(new Event(isOnline ? "online" : "offline"));
};
