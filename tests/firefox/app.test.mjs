// The app in Firefox, which has no Background Sync: what waits goes out when the app is opened again.
import { after, before, test } from "node:test";
import { travel } from "../page/journey.mjs";
import { startServers } from "../page/support.mjs";
import { startFirefox } from "../support/firefox.mjs";
import { shared } from "../support/shared.mjs";

let servers;
let context;
before(async () => {
  const [started, browser] = await Promise.all([startServers(), shared(startFirefox)]);
  servers = started;
  context = await browser.newContext();
});
after(async () => {
  await context?.close();
  await servers?.close();
});

test("a user signs up, makes three pictures, one of 40 MB, and two more offline; all five are in the gallery", async () => {
  await travel({
    servers,
    openTab: async () => {
      const page = await context.newPage();
      await page.setViewport({ width: 1280, height: 900 });
      await page.goto(servers.web.url);
      return page;
    },
    setOffline: (page, offline) => page.setOfflineMode(offline),
  });
});
