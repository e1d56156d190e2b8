// What the page promises whoever works with it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/until.mjs";
import {
  BUCKET,
  barriers,
  enqueue,
  enter,
  leave,
  press,
  retry,
  screenshot,
  send,
  sessionOf,
  shownWidth,
  startSite,
} from "./support.mjs";

const LIGHTHOUSE = fileURLToPath(new URL("../data/lighthouse.png", import.meta.url));

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());

test("every tile of the gallery can be clicked, at three sizes", async () => {
  for (let i = 1; i <= 6; i++) await send(page, { prompt: `tile number ${i}` });
  await page.locator("#grid li:nth-child(6) img").waitFor();
  for (const [width, height] of [
    [1280, 800],
    [1024, 768],
    [390, 844],
  ]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    for (let i = 1; i <= 6; i++) {
      await page.getByRole("button", { name: `tile number ${i}` }).click({ timeout: 10_000 });
      await page.getByRole("dialog", { name: `tile number ${i}` }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "hidden" });
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("Send answers in itself, until something else is on the stage", async () => {
  const button = page.locator("#send");
  const hold = site.recorder.hold({ method: "PUT", image: "an-answer", at: "request" });
  await press(page, { prompt: "an answer" });
  await hold.reached;
  await button.getByText("In the outbox ✓").waitFor();
  await button.getByText("Send another copy").waitFor();
  assert.equal(await page.locator("#under-way").textContent(), "1 on its way");
  // It stays in view, wherever one looks.
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  assert.equal(await isInView(page.locator("#under-way")), true);
  hold.release();
  await button.getByText("Arrived ✓").waitFor();
  await page.locator("#under-way").waitFor({ state: "detached" });

  const seed = await page.locator("#seed").inputValue();
  await page.locator("#seed").fill("7");
  await page.getByRole("button", { name: "Send to Supabase", exact: true }).waitFor();
  await page.locator("#seed").fill(seed);
  await button.getByText("Arrived ✓").waitFor();
});

test("every picture that Send is clicked for goes out, also while another one is being drawn; a double click is one", async () => {
  await page.evaluate(() => {
    const prompt = document.querySelector("#prompt");
    for (const words of ["First of three", "Second of three", "Third of three"]) {
      prompt.value = words;
      prompt.dispatchEvent(new Event("input", { bubbles: true }));
      for (const _ of ["one click", "and another"]) document.querySelector("#send").click();
    }
  });
  for (const words of ["First of three", "Second of three", "Third of three"]) {
    await page.locator("#grid li", { hasText: words }).waitFor();
  }
  const sent = (await site.rowsOf(page)).map(({ prompt }) => prompt).filter((prompt) => prompt.endsWith("of three"));
  assert.deepEqual(sent.sort(), ["First of three", "Second of three", "Third of three"]);
});

test("on a phone Send is in reach without scrolling", async () => {
  for (const [width, height] of [
    [390, 844],
    [360, 640],
  ]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => scrollTo(0, 0));
    assert.equal(await isInView(page.locator("#send")), true, `${width} × ${height}`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("Back closes a picture's details, and its address opens it again", async () => {
  const openedOf = (name) => page.getByRole("dialog", { name });
  await page.getByRole("button", { name: "tile number 3" }).click();
  await openedOf("tile number 3").waitFor();
  assert.match(new URL(page.url()).hash, /^#\/image\/[0-9a-f-]{36}$/);
  assert.equal(await page.locator("#details-image").evaluate((image) => getComputedStyle(image).objectFit), "contain");
  const fullSize = await page.getByRole("link", { name: "Open full size" }).getAttribute("href");
  assert.equal(fullSize, await page.locator("#details-image").getAttribute("src"));

  await page.goBack();
  await openedOf("tile number 3").waitFor({ state: "hidden" });
  assert.equal(new URL(page.url()).hash, "");
  await page.goForward();
  await openedOf("tile number 3").waitFor();
  await page.reload();
  await openedOf("tile number 3").waitFor();

  // From picture to picture, and not beyond the first.
  await page.keyboard.press("ArrowRight");
  await openedOf("tile number 2").waitFor();
  await page.keyboard.press("ArrowLeft");
  await openedOf("tile number 3").waitFor();
  for (let i = 0; i < 10; i++) await page.keyboard.press("ArrowLeft");
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  // The browser goes back in a task of its own.
  await page.waitForFunction(() => location.hash === "");
});

test("details that are opened again before the browser tells of their end stay open", async () => {
  await page.getByRole("button", { name: "tile number 3" }).click();
  await page.getByRole("dialog", { name: "tile number 3" }).waitFor();
  // A change is told before the next task, in which the dialog's end is.
  await page.evaluate(() => {
    const [dialog, address] = [document.querySelector("#details"), location.hash];
    globalThis.end = new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    const observer = new MutationObserver(() => {
      observer.disconnect();
      history.replaceState(null, "", address);
      dispatchEvent(new PopStateEvent("popstate"));
    });
    observer.observe(dialog, { attributeFilter: ["open"] });
    history.back();
  });
  await page.evaluate(() => globalThis.end);
  assert.equal(await page.getByRole("dialog", { name: "tile number 3" }).isVisible(), true);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
});

test("what can be done with a picture is in reach at 200 % zoom, however long its words", async () => {
  await send(page, { prompt: "a very long story of a picture ".repeat(120) });
  await page.setViewportSize({ width: 640, height: 400 });
  await page.locator("#grid li").first().getByRole("button").click();
  for (const id of ["use-again", "full-size", "copy-link", "download", "details-close"]) {
    assert.equal(await isInView(page.locator(`#${id}`)), true, id);
  }
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("a picture is in sight on a phone that lies on its side, however long what is told of it", async () => {
  await page.setViewportSize({ width: 740, height: 360 });
  await page.locator("#grid li").first().getByRole("button").click();
  const picture = page.locator(".details-picture img");
  await picture.waitFor();
  for (const end of [0, 10_000]) {
    await page.locator(".details-scroll").evaluate((element, top) => element.scrollTo(0, top), end);
    assert.equal(await isInView(picture), true, `scrolled by ${end}`);
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("a picture can be seen whole at 400 % zoom, and on a phone whose letters are twice as large", async () => {
  for (const [width, height] of [
    [320, 256],
    [195, 422],
  ]) {
    await page.setViewportSize({ width, height });
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${width}`);
    await page.locator("#grid li").first().getByRole("button").click();
    const picture = page.locator(".details-picture img");
    await picture.scrollIntoViewIfNeeded();
    assert.equal(await isInView(picture), true, `${width}`);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("words and seed of a picture come back to the stage", async () => {
  await page.locator("#prompt").fill("something else");
  await page.locator("#seed").fill("99");
  await page.getByRole("button", { name: "tile number 4" }).click();
  await page.getByRole("button", { name: "Use again" }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  assert.equal(await page.locator("#prompt").inputValue(), "tile number 4");
  assert.equal(await page.locator("#seed").inputValue(), "42");
});

test("Ctrl and Enter send", async () => {
  await page.locator("#prompt").fill("by keys alone");
  await page.locator("#prompt").press("Control+Enter");
  await page.locator("#grid li", { hasText: "by keys alone" }).waitFor();
});

test("a draft outlives a reload and Back, with its seed", async () => {
  await page.locator("#prompt").fill("unsent words");
  await page.locator("#seed").fill("-17");
  assert.equal(await page.locator("#prompt-count").textContent(), "12 of 4,000 characters");
  await page.reload();
  await page.locator("#prompt").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "unsent words");
  await page.goto("about:blank");
  await page.goBack({ waitUntil: "commit" });
  await page.locator("#prompt").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "unsent words");
  assert.equal(await page.locator("#seed").inputValue(), "-17");
});

test("a file takes words that were written for it, and gives the drawing its own back", async () => {
  await page.locator("#prompt").fill("grandmother at the lake");
  await page.locator("#file").setInputFiles(LIGHTHOUSE);
  await page.locator("#file-preview").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "grandmother at the lake");
  await page.locator("#prompt").fill("grandmother by the sea");
  await page.locator("#file").setInputFiles(LIGHTHOUSE);
  assert.equal(await page.locator("#prompt").inputValue(), "grandmother by the sea");
  await page.getByRole("button", { name: "Back to drawing" }).click();
  assert.equal(await page.locator("#prompt").inputValue(), "grandmother at the lake");
  assert.equal(await page.locator("#seed").inputValue(), "-17");
  assert.deepEqual(page.complaints, []);
});

test("who comes next finds no words of the user before", async () => {
  await page.locator("#prompt").fill("a secret");
  const { user } = await sessionOf(page);
  await leave(page);
  await enter(page);
  await page.locator("#gallery-empty").waitFor();
  assert.equal((await page.content()).includes("a secret"), false);
  assert.equal((await page.content()).includes(user.email), false);
  assert.deepEqual(await page.getByRole("log").textContent(), "");
  assert.equal(await page.locator("#prompt").inputValue(), "a lighthouse at dusk");
  assert.equal(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage })), "{}");
  await until(async () => (await page.evaluate(historiesKept)) === 0, "what became of their requests to be forgotten");
});

/** In the page: how many pictures' histories its journal has. */
function historiesKept() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("imagen-cloud-journal");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const counting = opening.result.transaction("pictures").objectStore("pictures").count();
      counting.onsuccess = () => {
        opening.result.close();
        resolve(counting.result);
      };
    };
  });
}

test("what arrived is shown before its link is there, and takes that when it is", async () => {
  const hold = site.recorder.hold({ method: "POST", target: `/object/sign/${BUCKET}`, at: "request" });
  await press(page, { prompt: "at once" });
  await page.getByText("Its link is being signed").waitFor();
  assert.match(await page.locator("#arrival-image").getAttribute("src"), /^blob:/);
  assert.ok((await shownWidth(page)) > 0);
  hold.release();
  await page.getByRole("link", { name: "Open its signed URL" }).waitFor();
  assert.match(await page.locator("#arrival-image").getAttribute("src"), /^http/);
});

test("what waited is told of when it arrives, also after a reload", async () => {
  site.recorder.offline(true);
  await enqueue(page, ["left behind", "left behind too", "and a third"]);
  await page.reload();
  await page.locator("#jobs > li:nth-child(3)").waitFor();
  site.recorder.offline(false);
  await retry(page.locator("#jobs > li").first());
  await page.getByRole("heading", { name: "3 pictures that waited have arrived" }).waitFor();
  assert.match(await page.getByRole("log").textContent(), /3 pictures that waited have arrived/);
  assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage })), "{}");
});

test("signing out asks where pictures wait, and says that a demo account ends", async () => {
  const signOut = page.getByRole("button", { name: "Sign out", exact: true });
  const question = page.getByRole("dialog");
  await signOut.click();
  await question.getByText("A demo account ends when you sign out").waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Escape");
  await question.waitFor({ state: "hidden" });
  assert.equal(await signOut.evaluate((button) => button === document.activeElement), true);

  site.recorder.offline(true);
  await enqueue(page, ["waits one", "waits two"]);
  await signOut.click();
  await question.getByText("2 pictures are not sent yet").waitFor();
  await screenshot(page, "leaving", { fullPage: false });
  assert.equal(await question.getByRole("button", { name: "Keep and sign out" }).count(), 0);
  await question.getByRole("button", { name: "Wait" }).click();
  assert.equal(await page.locator("#jobs > li").count(), 2);
  await signOut.click();
  await question.getByRole("button", { name: "Discard and sign out" }).click();
  await page.locator("#welcome").waitFor();
  site.recorder.offline(false);
});

/** Whether all of it can be seen, and nothing lies over it. */
function isInView(locator) {
  return locator.evaluate((element) => {
    const { top, bottom, left, width } = element.getBoundingClientRect();
    const onTop = document.elementFromPoint(left + width / 2, (top + bottom) / 2);
    return top >= 0 && bottom <= innerHeight && element.contains(onTop);
  });
}
