// How soon the app is there for who comes for the first time, and how soon the first picture has arrived.
import { startSite } from "../tests/page/support.mjs";
import { figure } from "./support.mjs";

export const title = "app: a first visit, Chromium";
export const notes = [
  "A sample is a new visitor with an empty cache, before the page as `make demo` serves it, the Worker in workerd and the embedded Supabase, all on this machine.",
  "The first picture, 1024 pixels a side, is drawn, encoded, kept in the outbox and sent: from the press on Send until its arrival is shown.",
];

const ROUNDS = 7;
/** Of each, in ms. */
const LIMIT = 1000;

export async function run() {
  const site = await startSite({});
  const paints = [];
  const sends = [];
  try {
    // The first round is for the servers' sake.
    for (let round = -1; round < ROUNDS; round++) {
      const page = await site.openPage();
      const paint = await page.evaluate(firstPaint);
      await page.locator("#demo").click();
      await page.locator("#gallery-empty").waitFor();
      const sent = await page.evaluate(firstSend);
      await page.context().close();
      if (round < 0) continue;
      paints.push(paint);
      sends.push(sent);
    }
  } finally {
    await site.close();
  }
  return [
    figure({ what: "first paint with content", unit: "ms", samples: paints, limit: LIMIT }),
    figure({ what: "the first picture, from Send to its arrival", unit: "ms", samples: sends, limit: LIMIT }),
  ];
}

/** In the page: when something was seen, in ms since it was asked for. */
function firstPaint() {
  return new Promise((resolve) => {
    new PerformanceObserver((list) => {
      const [paint] = list.getEntriesByName("first-contentful-paint");
      if (paint) resolve(paint.startTime);
    }).observe({ type: "paint", buffered: true });
  });
}

/** In the page: how long a press on Send takes until the arrival is shown, in ms. */
function firstSend() {
  return new Promise((resolve) => {
    const begun = performance.now();
    new MutationObserver((_, observer) => {
      if (!document.querySelector("#arrival")) return;
      observer.disconnect();
      resolve(performance.now() - begun);
    }).observe(document.body, { childList: true, subtree: true });
    document.querySelector("#send").click();
  });
}
