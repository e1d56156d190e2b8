// What Chromium shows of the files in tests/data is what the library is to write into a row.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { startBrowser } from "../support/browser.mjs";
import { withCredentials, withStrayBytes } from "../support/images.mjs";
import { shared } from "../support/shared.mjs";

const read = (name) => readFile(new URL(`../data/${name}`, import.meta.url));

let context;
let page;
before(async () => {
  const browser = await shared(startBrowser);
  context = await browser.newContext();
  page = await context.newPage();
});
after(() => context?.close());

/** Width and height as the page has them, or null where there is no picture. */
function shown(bytes, type) {
  return page.evaluate(
    async ({ base64, type }) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const image = new Image();
      const loaded = new Promise((resolve) => {
        image.onload = () => resolve({ width: image.naturalWidth, height: image.naturalHeight });
        image.onerror = () => resolve(null);
      });
      image.src = URL.createObjectURL(new Blob([bytes], { type }));
      return loaded;
    },
    { base64: bytes.toString("base64"), type },
  );
}

test("headers.json says what Chromium shows of every file", async () => {
  for (const [name, right] of Object.entries(JSON.parse(await read("headers.json")))) {
    const size = right && { width: right.width, height: right.height };
    assert.deepEqual(await shown(await read(name), right?.type ?? "image/png"), size, name);
  }
});

test("Chromium shows a JPEG with stray bytes, or with 1.8 MB of Content Credentials before its frame", async () => {
  const jpeg = await read("lighthouse.jpg");
  for (const bytes of [withCredentials(jpeg), withStrayBytes(jpeg, 1), withStrayBytes(jpeg, 40)]) {
    assert.deepEqual(await shown(bytes, "image/jpeg"), { width: 320, height: 240 });
  }
});
