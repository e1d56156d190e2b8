// The page in Chromium, before the Worker in workerd and an embedded Supabase.
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@supabase/supabase-js";
import { chromium } from "playwright-core";
import { startWeb } from "../../www/serve.mjs";
import { startEmbedded } from "../support/embedded.mjs";

export const BUCKET = "imagen-generated";
const SCREENSHOTS = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));

export async function startSite() {
  const supabase = await startEmbedded();
  const web = await startWeb({ supabase });
  const browser = await chromium.launch({
    executablePath: process.env.CHROME ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const admin = createClient(supabase.url, supabase.serviceKey, { auth: { persistSession: false } });
  return {
    supabase,
    web,
    admin,
    openPage: (options) => openPage(browser, web.url, options),
    async close() {
      await browser.close();
      await web.close();
      await supabase.close();
    },
  };
}

/** A page of a visitor of its own. What its console complains of, and its policy refuses, is in `page.complaints`. */
async function openPage(browser, url, { width = 1280, height = 900, colorScheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.complaints = [];
  page.setDefaultTimeout(30_000);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
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

/** Sends what is on the stage and resolves to where it landed, as the page says. */
export async function send(page, { prompt, seed, route = "direct" } = {}) {
  if (prompt !== undefined) await page.locator("#prompt").fill(prompt);
  if (seed !== undefined) await page.locator("#seed").fill(seed);
  await page.locator(`input[value=${route}]`).check();
  await page.getByRole("button", { name: "Send to Supabase" }).click();
  await page.locator("#arrival").waitFor();
  return {
    storagePath: await page.locator("#arrival-path").textContent(),
    imageId: await page.locator("#arrival-id").textContent(),
  };
}

/** The pixels' side of the image that the page shows from the signed URL; 0 while it shows none. */
export function shownWidth(page) {
  return page.locator("#arrival-image").evaluate(({ naturalWidth }) => naturalWidth);
}

/** Waits until fonts and pictures are there, then keeps what the page looks like. */
export async function screenshot(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.evaluate(async () => {
    await document.fonts.ready;
    const images = [...document.images].filter(({ src, hidden }) => src && !hidden);
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
  });
  await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, fullPage: true });
}
