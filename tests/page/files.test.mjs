// Files that are chosen, dropped or pasted, one or many.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BUCKET, barriers, enter, press, startSite } from "./support.mjs";

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
  const objects = await site.supabase.sql("select name from storage.objects where bucket_id = $1", [BUCKET]);
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
