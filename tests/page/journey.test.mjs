// The whole way in Chromium; tests/firefox goes it too.
import { after, before, test } from "node:test";
import { travel } from "./journey.mjs";
import { startSite } from "./support.mjs";

let site;
before(async () => {
  site = await startSite();
});
after(() => site?.close());

test("a user signs up, makes three pictures, one of 40 MB, and two more offline; all five are in the gallery", async () => {
  let context;
  await travel({
    servers: site,
    openTab: async () => {
      const page = await site.openPage({ worker: true, context });
      context = page.context();
      return page;
    },
    setOffline: (_, offline) => context.setOffline(offline),
  });
});
