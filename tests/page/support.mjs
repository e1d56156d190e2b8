// The page in Chromium, before the Worker in workerd and an embedded Supabase that can be made to fail.
import { mkdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@supabase/supabase-js";
import { startFaults } from "../../www/local/faults.mjs";
import { startWeb } from "../../www/serve.mjs";
import { startBrowser } from "../support/browser.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { mendAfterEach, shared } from "../support/shared.mjs";
import { until } from "../support/until.mjs";
import { waitFor } from "../support/waiting.mjs";

export const BUCKET = "imagen-generated";
/** Pixels of a drawn picture's side, where nobody looks at it: what is a megabyte otherwise is 100 kB. */
export const PICTURE_SIDE = 256;
const SCREENSHOTS = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
const AXE = new URL("../../node_modules/axe-core/axe.min.js", import.meta.url);

/**
 * Everything between page and Worker on one side and Supabase on the other goes through `recorder`; `options` are the page's.
 * With `breakIt` the demo's own faults come before it.
 */
export async function startServers(options = { pictureSide: PICTURE_SIDE }) {
  const supabase = await startEmbedded();
  const recorder = await startRecorder({ target: supabase.url });
  const { breakIt, ...settings } = options;
  const faults = breakIt ? await startFaults({ ...supabase, url: recorder.url }) : undefined;
  const web = await startWeb({
    supabase: { ...supabase, url: (faults ?? recorder).url },
    ...settings,
    faults,
    worker: { SYNC_DEADLINE_MS: "3000", RETRY_DELAY_SECONDS: "1", STAGED_STALE_SECONDS: "0" },
  });
  const admin = createClient(supabase.url, supabase.serviceKey, { auth: { persistSession: false } });
  /** The rows of whoever is signed in on the page. */
  const rowsOf = async (page) => {
    const { user } = await sessionOf(page);
    return supabase.sql("select * from imagen.images where owner_user_id = $1 order by created_at desc", [user.id]);
  };
  return {
    supabase,
    recorder,
    web,
    admin,
    rowsOf,
    /** Has the Worker deliver what it keeps, which it would else wait longer and longer for, and waits for a picture's row. */
    async deliver(page, prompt) {
      await web.runCron();
      await until(async () => (await rowsOf(page)).some((row) => row.prompt === prompt), `the row of ${prompt}`);
    },
    async close() {
      await waitFor("the web server's and workerd's end", web.close());
      await faults?.close();
      await waitFor("the recorder's end", recorder.close());
      await supabase.close();
    },
  };
}

/**
 * The same, and a Chromium that is shared with other files. What a test has the recorder, a page or its context break is mended
 * after it, pass or fail.
 */
export async function startSite(options) {
  const [servers, browser] = await Promise.all([startServers(options), shared(startBrowser)]);
  const contexts = new Set();
  const stopMending = mendAfterEach(async () => {
    servers.recorder.mend();
    const routed = [...contexts].flatMap((context) => [context, ...context.pages()]);
    await Promise.all(routed.map((one) => one.unrouteAll({ behavior: "ignoreErrors" })));
    await Promise.all([...contexts].map((context) => context.setOffline(false)));
  });
  return {
    ...servers,
    async openPage(options) {
      const page = await openPage(browser, servers.web.url, options);
      contexts.add(page.context());
      return page;
    },
    async close() {
      stopMending();
      await waitFor("the browser's contexts to close", Promise.all([...contexts].map((context) => context.close())));
      await servers.close();
    },
  };
}

/**
 * A page of a visitor of its own, or another tab in a `context`. What its console complains of, and its policy refuses,
 * is in `page.complaints`. Only with `worker` it gets its service worker.
 */
async function openPage(browser, url, options = {}) {
  const { width = 1280, height = 900, colorScheme = "light", worker = false } = options;
  const context =
    options.context ??
    (await browser.newContext({
      viewport: { width, height },
      colorScheme,
      reducedMotion: "reduce",
      serviceWorkers: worker ? "allow" : "block",
    }));
  const page = await context.newPage();
  page.complaints = [];
  page.setDefaultTimeout(30_000);
  page.on("console", (message) => {
    const text = message.text();
    if (!["error", "warning"].includes(message.type()) || text.includes("blocked by Playwright")) return;
    // Whether something is left of what was discarded: that nothing is there Storage says by a 400.
    if (text.includes("status of 400") && message.location().url.includes("/object/info/")) return;
    page.complaints.push(text);
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`policy: ${violatedDirective} ${blockedURI}`);
    });
  });
  await page.goto(url);
  return page;
}

/** Signs up a demo user and waits for the studio. */
export async function enter(page) {
  await page.getByRole("button", { name: "Try it as a demo user" }).click();
  await page.getByRole("button", { name: "Send to Supabase" }).waitFor();
}

/** Runs in a page: keeps the time in which a deletion can be undone from ending, until `endUndo` is called. */
export function holdUndo() {
  const { setTimeout: set, clearTimeout: clear } = window;
  const held = new Map();
  let last = 0;
  window.setTimeout = (work, ms, ...given) => {
    if (ms !== 8000) return set(work, ms, ...given);
    last -= 1; // an id that no timer has
    held.set(last, work);
    return last;
  };
  window.clearTimeout = (id) => held.delete(id) || clear(id);
  window.endUndo = () => {
    for (const [id, work] of held) if (held.delete(id)) work();
  };
}

/** Runs in a page: servers may take as long as they do to hear of what was deleted or discarded by who signs out. */
export function endlessPatience() {
  const { setTimeout: set } = window;
  window.setTimeout = (work, ms, ...given) => ([3000, 5000].includes(ms) ? 0 : set(work, ms, ...given));
}

/** Discards a job of the outbox, and says so within the time that the page gives for it, however slow the driver is. */
export function discard(item) {
  return item.getByRole("button", { name: "Discard" }).evaluate(async ({ id }) => {
    const button = () => document.getElementById(id);
    button().click();
    while (!button().textContent.includes("for good")) await new Promise(requestAnimationFrame);
    button().click();
  });
}

/** Signs a demo user out, for good. */
export async function leave(page) {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "End it" }).click();
  await page.locator("#welcome").waitFor();
}

/** What supabase-js keeps of the page's user. */
export function sessionOf(page) {
  return page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const opening = indexedDB.open("imagen-cloud-session");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const reading = opening.result.transaction("session").objectStore("session").get("imagen-cloud-session");
          reading.onsuccess = () => {
            opening.result.close();
            resolve(JSON.parse(reading.result));
          };
        };
      }),
  );
}

/** Has the token that the page keeps end. */
export function expire(page) {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        indexedDB.open("imagen-cloud-session").onsuccess = ({ target: { result } }) => {
          const transaction = result.transaction("session", "readwrite");
          const store = transaction.objectStore("session");
          store.openCursor("imagen-cloud-session").onsuccess = ({ target: { result: cursor } }) => {
            cursor?.update(JSON.stringify({ ...JSON.parse(cursor.value), expires_at: 1 }));
          };
          transaction.oncomplete = resolve;
        };
      }),
  );
}

/** Fills in what is given and presses the button. */
export async function press(page, { prompt, seed, route } = {}) {
  if (prompt !== undefined) await page.locator("#prompt").fill(prompt);
  if (seed !== undefined) await page.locator("#seed").fill(seed);
  if (route !== undefined) await page.locator(`input[value=${route}]`).check();
  await page.locator("#send").click();
}

/** Sends what is on the stage and resolves to where it landed, as the page says. */
export async function send(page, what) {
  await press(page, what);
  await page.locator("#arrival-open a").waitFor();
  return {
    storagePath: await page.locator("#arrival-path").textContent(),
    imageId: await page.locator("#arrival-id").textContent(),
  };
}

/** Puts pictures into the outbox, one after another, while nothing can be sent. */
export async function enqueue(page, prompts) {
  for (const prompt of prompts) {
    await press(page, { prompt });
    await job(page, prompt).waitFor();
  }
}

/** A picture's place in the outbox. */
export function job(page, prompt) {
  return page.locator("#jobs > li", { hasText: prompt });
}

/** Presses a job's "Retry", or its other name, unless its time has come before: the button is gone while the job is being sent. */
export async function retry(item, name = "Retry") {
  // Found and pressed in one moment: a button that goes in between would be waited for in vain.
  const pressed = ([button]) => {
    button?.click();
    return button !== undefined;
  };
  const isSent = async () => (await item.count()) === 0 || (await item.getByText("Safe with the Worker").isVisible());
  await until(
    async () => (await item.getByRole("button", { name }).evaluateAll(pressed)) || (await isSent()),
    `${name}, or the end of the sending`,
  );
}

/** Has a page's clock be moved by `page.clock.fastForward`. It begins anew: timers of before would not be stopped any more. */
export async function installClock(page) {
  await page.clock.install();
  await page.reload();
}

/** The pixels' side of the image that the page shows from the signed URL, once that is loaded; 0 where it can't be shown. */
export function shownWidth(page) {
  return page.locator("#arrival-image").evaluate(async (image) => {
    for (;;) {
      const { src } = image;
      await image.decode().catch(() => {});
      // The link takes the local picture's place at any time.
      if (image.src === src) return image.naturalWidth;
    }
  });
}

/** What axe-core finds serious, or worse. */
export async function barriers(page) {
  // By the debugger, since the page's policy allows no foreign script.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

/** Waits until fonts and pictures are there, then keeps what the page looks like. */
export async function screenshot(page, name, { fullPage = true } = {}) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.evaluate(async () => {
    await document.fonts.ready;
    const images = [...document.images].filter(({ src, hidden }) => src && !hidden);
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
  });
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage });
}
