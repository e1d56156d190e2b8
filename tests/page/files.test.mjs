// Files that are chosen, dropped or pasted, one or many.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { readMetadata } from "imagen-cloud/metadata";
import { exifOf, jpegWith, pngWith } from "../support/metadata.mjs";
import { until } from "../support/until.mjs";
import { BUCKET, barriers, enter, press, send, startSite } from "./support.mjs";

/** A file whose program wrote what made it, and one that says where it was taken. */
const SEED = "9007199254740993";
const INFOTEXT = `a fox in snow\nNegative prompt: text\nSteps: 28, Sampler: Euler a, Seed: ${SEED}, Size: 8x8, Model: dream`;
const [lighthouse, photo] = await Promise.all(
  ["png", "jpg"].map((type) => readFile(new URL(`../data/lighthouse.${type}`, import.meta.url))),
);
const COMFY = JSON.stringify({
  1: { class_type: "CLIPTextEncode", inputs: { text: "a heron at noon" } },
  2: { class_type: "KSampler", inputs: { seed: 7, steps: 20, positive: ["1", 0] } },
});
const made = (name, texts) => ({ name, mimeType: "image/png", buffer: pngWith(lighthouse, texts) });
const GENERATED = made("00012-3.png", { parameters: INFOTEXT });
const place = { latitude: 52.5163, longitude: 13.3777 };
const PHOTO = { name: "IMG_1.jpg", mimeType: "image/jpeg", buffer: jpegWith(photo, exifOf({ place })) };

const data = (name) => fileURLToPath(new URL(`../data/${name}`, import.meta.url));
const [PNG, JPEG, WEBP] = ["png", "jpg", "webp"].map((type) => data(`lighthouse.${type}`));
const BROKEN = { name: "broken.png", mimeType: "image/png", buffer: Buffer.from("no image at all") };
const NOTES = { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("milk, bread") };

let site;
let page;
before(async () => {
  site = await startSite();
  page = await site.openPage();
  await enter(page);
});
after(() => site?.close());

const lines = () => page.locator("#batch li.batch-line");
const title = () => page.locator("#batch-title");

/** Files as the system hands them over, by an event of the page. */
function hand(kind, names) {
  return page.evaluate(
    async ({ kind, names }) => {
      const transfer = new DataTransfer();
      for (const name of names) {
        const canvas = new OffscreenCanvas(8, 8);
        canvas.getContext("2d").fillRect(0, 0, 8, 8);
        const blob = await canvas.convertToBlob();
        transfer.items.add(new File([blob], name, { type: "image/png", lastModified: 1 }));
      }
      const event =
        kind === "drop"
          ? new DragEvent(kind, { dataTransfer: transfer, cancelable: true })
          : new ClipboardEvent(kind, { clipboardData: transfer });
      dispatchEvent(event);
    },
    { kind, names },
  );
}

test("words that an office program copies with a picture of them are pasted as words", async () => {
  const isDrawing = await page.locator("#prompt").evaluate(async (field) => {
    const transfer = new DataTransfer();
    transfer.setData("text/plain", "a word of a table");
    const canvas = new OffscreenCanvas(8, 8);
    canvas.getContext("2d").fillRect(0, 0, 8, 8);
    transfer.items.add(new File([await canvas.convertToBlob()], "image.png", { type: "image/png" }));
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    // What the event changes is drawn before the next task.
    await new Promise((resolve) => setTimeout(resolve));
    return document.getElementById("canvas")?.checkVisibility() === true;
  });
  assert.equal(isDrawing, true);
});

test("several files are all sent by one press, and those that can't be are named", async () => {
  await page.locator("#file").setInputFiles([PNG, JPEG, WEBP]);
  await lines().nth(2).waitFor();
  assert.match(await title().textContent(), /^3 pictures, /);
  await page.getByRole("textbox", { name: "What does lighthouse.jpg show?" }).fill("the second one");

  const hold = site.recorder.hold({ method: "PUT", image: "the-second-one", at: "request" });
  await press(page);
  await hold.reached;
  await title().getByText("2 of 3 pictures arrived").waitFor();
  assert.equal(Math.round(await page.locator("#batch-progress").evaluate(({ value }) => value)), 67);
  await page.locator("#send").getByText("All on their way ✓").waitFor();
  assert.deepEqual(await barriers(page), []);
  hold.release();
  await title().getByText("3 of 3 pictures arrived").waitFor();
  await page.locator("#send").getByText("All arrived ✓").waitFor();
  const rows = await site.rowsOf(page);
  assert.deepEqual(rows.map(({ prompt }) => prompt).sort(), ["lighthouse", "lighthouse", "the second one"]);
  const objects = await site.supabase.sql(
    "select name from storage.objects where bucket_id = $1 and name not like '%.thumb'",
    [BUCKET],
  );
  assert.equal(objects.length, 3);

  // Another copy is other pictures.
  await press(page);
  await page.locator("#grid li:nth-child(6) img").waitFor();
  assert.equal((await site.rowsOf(page)).length, 6);
  assert.deepEqual(page.complaints, []);
});

test("files that can't be sent are left out by name, and the others are taken", async () => {
  await page.getByRole("button", { name: "Back to drawing" }).click();
  await hand("drop", ["one.png", "two.png"]);
  await lines().nth(1).waitFor();
  await page.locator("#file").setInputFiles([BROKEN, NOTES]);
  const skipped = page.locator("#skipped");
  await skipped.getByText("2 files were left out").waitFor();
  assert.match(await skipped.textContent(), /notes\.txt is no PNG/);
  assert.match(await skipped.textContent(), /broken\.png isn't a usable image/);
  assert.equal(await lines().count(), 2);
});

test("pasted files join those that are chosen, and none is there twice", async () => {
  await hand("paste", ["two.png", "three.png"]);
  await lines().nth(2).waitFor();
  assert.equal(await lines().count(), 3);
  await page.locator("#contact-sheet img:nth-child(3)").waitFor();
});

test("the last file that is left out gives the drawing its words back", async () => {
  const out = (name) => page.getByRole("button", { name: `Leave out ${name}` });
  await out("one.png").click();
  // The keyboard goes on at the next one.
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "What does two.png show?");
  await out("three.png").click();
  await out("two.png").click();
  await page.locator("#seed").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "a lighthouse at dusk");
  assert.equal(await page.evaluate(() => document.activeElement.id), "prompt");
  assert.deepEqual(page.complaints, []);
});

/** What was stored, as anybody with a link gets it. */
async function stored(storagePath) {
  const { data: blob } = await site.admin.storage.from(BUCKET).download(storagePath);
  return blob;
}

test("a dropped file fills the form with what its program wrote, and all of it can be changed", async () => {
  await page.locator("#file").setInputFiles([GENERATED]);
  const field = (name) => page.getByRole("textbox", { name, exact: true });
  await field("Seed").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "a fox in snow");
  assert.deepEqual(await Promise.all(["Seed", "Steps", "Model"].map((name) => field(name).inputValue())), [
    SEED,
    "28",
    "dream",
  ]);
  await page.getByText("Read from the file, as A1111 wrote it").waitFor();
  assert.deepEqual(await barriers(page), []);

  await field("Seed").fill("many");
  await page.locator("#send").click();
  await page.getByText("A seed is a whole number").waitFor();
  assert.equal(await field("Seed").evaluate((input) => input === document.activeElement), true);
  await field("Seed").fill("-9007199254740993");
  await field("Steps").fill("29");
  await page.getByLabel("Keep the file's whole text").check();
  await send(page);
  const [row] = await site.rowsOf(page);
  assert.deepEqual(
    [row.prompt, String(row.seed), row.steps, row.model, row.sidecar],
    ["a fox in snow", "-9007199254740993", 29, "dream", { fileText: INFOTEXT }],
  );
});

test("a file's own words leave alone what somebody wrote, and its text stays out unless it is asked for", async () => {
  await page.getByRole("button", { name: "Back to drawing" }).click();
  await page.locator("#prompt").fill("my own words");
  await page.locator("#file").setInputFiles([made("comfy.png", { prompt: COMFY, workflow: "{}" })]);
  await page.getByText("as ComfyUI wrote it").waitFor();
  assert.equal(await page.locator("#prompt").inputValue(), "my own words");
  await send(page);
  const [row] = await site.rowsOf(page);
  assert.deepEqual([row.prompt, String(row.seed), row.steps, row.sidecar], ["my own words", "7", 20, null]);
});

test("a photo's place is told of before it is shared, and can be left out", async () => {
  await page.locator("#file").setInputFiles([PHOTO]);
  await page.getByText("This photo says where it was taken").waitFor();
  assert.deepEqual(await barriers(page), []);
  const asItIs = await stored((await send(page)).storagePath);
  assert.deepEqual(Buffer.from(await asItIs.arrayBuffer()), PHOTO.buffer);

  await page.getByLabel("Leave the place out").check();
  await page.getByRole("button", { name: "Send to Supabase", exact: true }).click();
  const row = await until(async () => {
    const [newest, before] = await site.rowsOf(page);
    return before.prompt === newest.prompt ? newest : undefined;
  }, "the copy's row");
  const anew = await stored(row.storage_path);
  assert.deepEqual(await readMetadata(anew), {});
  assert.deepEqual([anew.type, row.width, row.height], ["image/jpeg", 320, 240]);
});

test("of several photos the place is told of once, and left out of all that have one", async () => {
  await page.locator("#file").setInputFiles([PHOTO, GENERATED, { ...PHOTO, name: "IMG_2.jpg" }]);
  await page.getByText("2 of them say where they were taken").waitFor();
  await page.getByRole("textbox", { name: "What does 00012-3.png show?" }).waitFor();
  assert.equal(await page.getByRole("textbox", { name: "00012-3.png" }).inputValue(), "a fox in snow");
  await page.getByLabel("Leave the place out").check();
  await press(page);
  await title().getByText("3 of 3 pictures arrived").waitFor();
  for (const { storage_path } of (await site.rowsOf(page)).slice(0, 3)) {
    assert.equal((await readMetadata(await stored(storage_path))).place, undefined);
  }
  await page.getByRole("button", { name: "Back to drawing" }).click();
  assert.deepEqual(page.complaints, []);
});

/** Has files of a name be read only once `release` is called. */
function holdReading(name) {
  const { arrayBuffer } = Blob.prototype;
  const released = new Promise((resolve) => {
    window.release = () => {
      Blob.prototype.arrayBuffer = arrayBuffer;
      resolve();
    };
  });
  Blob.prototype.arrayBuffer = async function () {
    if (this.name === name) await released;
    return arrayBuffer.call(this);
  };
}

test("a photo's place is left out too where the photo is still being read when it is sent", async () => {
  await page.evaluate(holdReading, "IMG_2.jpg");
  await page.locator("#file").setInputFiles([PHOTO, { ...PHOTO, name: "IMG_2.jpg" }]);
  await page.getByText("One of them says where it was taken").waitFor();
  await page.getByLabel("Leave the place out").check();
  const before = (await site.rowsOf(page)).length;
  await press(page);
  await until(async () => (await site.rowsOf(page)).length > before, "the one that has been read");
  await page.evaluate(() => window.release());
  await title().getByText("2 of 2 pictures arrived").waitFor();
  for (const { storage_path } of (await site.rowsOf(page)).slice(0, 2)) {
    assert.equal((await readMetadata(await stored(storage_path))).place, undefined);
  }
  await page.getByRole("button", { name: "Back to drawing" }).click();
});

test("a file that comes in the place of one that is still being read is not sent for it", async () => {
  await page.evaluate(holdReading, GENERATED.name);
  await page.locator("#file").setInputFiles([GENERATED]);
  await page.getByAltText(`The chosen file, ${GENERATED.name}`).waitFor();
  const before = (await site.rowsOf(page)).length;
  await press(page);
  await hand("drop", ["another.png"]);
  await page.getByAltText("The chosen file, another.png").waitFor();
  await page.evaluate(() => window.release());
  await page.getByText(`${GENERATED.name} was not sent: something else came in its place`).waitFor();
  assert.equal((await site.rowsOf(page)).length, before);
  const { imageId } = await send(page, { prompt: "another" });
  assert.deepEqual(
    (await site.rowsOf(page)).slice(0, -before).map(({ id }) => id),
    [imageId],
  );
  await page.getByRole("button", { name: "Back to drawing" }).click();
});

test("without an outbox several files go out one after another", async () => {
  const other = await site.openPage();
  await other.addInitScript(() => delete Navigator.prototype.locks);
  await other.reload();
  await enter(other);
  await other.locator("#file").setInputFiles([PNG, WEBP]);
  await other.getByRole("button", { name: "Send 2 pictures to Supabase" }).click();
  await other.locator("#batch-title").getByText("2 of 2 pictures arrived").waitFor();
  assert.equal((await site.rowsOf(other)).length, 2);
});
