import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BUCKET, discard, enter, job, press, send, shownWidth, startSite } from "./support.mjs";

const LIGHTHOUSE = new URL("../data/lighthouse.png", import.meta.url);

let site;
before(async () => {
  site = await startSite({});
});
after(() => site?.close());

async function row(imageId) {
  const { data, error } = await site.admin.schema("imagen").from("images").select("*").eq("id", imageId).single();
  assert.equal(error, null);
  return data;
}

async function bytes(storagePath) {
  const { data, error } = await site.admin.storage.from(BUCKET).download(storagePath);
  assert.equal(error, null);
  return Buffer.from(await data.arrayBuffer());
}

for (const route of ["direct", "worker"]) {
  test(`a drawn image arrives, route ${route}, and its signed URL shows it`, async () => {
    const page = await site.openPage();
    await enter(page);
    const { storagePath, imageId } = await send(page, { prompt: "Snow over a fjord", seed: "9007199254740993", route });
    assert.equal(await shownWidth(page), 1024);
    assert.match(storagePath, /^[0-9a-f-]{36}\/\d{4}-\d\d-\d\d\/snow-over-a-fjord-[0-9a-f]{8}-9007199254740993\.png$/);

    const stored = await row(imageId);
    assert.equal(stored.storage_path, storagePath);
    assert.ok(storagePath.startsWith(`${stored.owner_user_id}/`));
    assert.equal(stored.prompt, "Snow over a fjord");
    assert.equal(stored.backend, "canvas");
    assert.equal(stored.width, 1024);
    assert.equal(Number(stored.cost_usd_estimate), 0);
    assert.ok(stored.latency_ms > 0);
    assert.equal(stored.model, "strata-1");
    assert.ok(stored.steps > 0);
    assert.deepEqual(
      { ...stored.sidecar, palette: undefined },
      {
        generator: "strata-1",
        palette: undefined,
        steps: stored.steps,
        width: 1024,
        height: 1024,
        latencyMs: stored.latency_ms,
        costUsdEstimate: 0,
      },
    );
    assert.equal((await bytes(storagePath)).subarray(1, 4).toString(), "PNG");

    const tile = page.locator("#grid img").first();
    await tile.waitFor();
    await page.waitForFunction(() => document.querySelector("#grid img").complete);
    assert.equal(await page.locator("#grid li").count(), 1);
    assert.equal(await tile.evaluate((img) => img.naturalWidth), 640, "the small picture");
    assert.deepEqual(page.complaints, []);
  });

  test(`a chosen file arrives byte for byte, route ${route}`, async () => {
    const page = await site.openPage();
    await enter(page);
    await page.locator("#file").setInputFiles(fileURLToPath(LIGHTHOUSE));
    assert.equal(await page.locator("#prompt").inputValue(), "lighthouse");
    const { storagePath, imageId } = await send(page, { route });
    assert.deepEqual(await bytes(storagePath), readFileSync(LIGHTHOUSE));
    assert.equal((await row(imageId)).backend, "upload");
    assert.ok((await shownWidth(page)) > 0);
    assert.deepEqual(page.complaints, []);
  });
}

/** Does to the window what dropping, or pasting, a file does. */
function give(page, kind, name, type, base64) {
  return page.evaluate(
    ({ kind, name, type, base64 }) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0))], name, { type }));
      const init = { bubbles: true, cancelable: true };
      const event =
        kind === "drop"
          ? new DragEvent(kind, { ...init, dataTransfer: data })
          : new ClipboardEvent(kind, { ...init, clipboardData: data });
      document.querySelector("#drop").dispatchEvent(event);
    },
    { kind, name, type, base64 },
  );
}

for (const kind of ["drop", "paste"]) {
  test(`a file given by ${kind} arrives`, async () => {
    const page = await site.openPage();
    await enter(page);
    await give(page, kind, "my_boat.png", "image/png", readFileSync(LIGHTHOUSE).toString("base64"));
    await page.locator("#file-preview").waitFor();
    const { storagePath } = await send(page);
    assert.match(storagePath, /\/my-boat-[0-9a-f]{8}-0\.png$/);
    assert.deepEqual(await bytes(storagePath), readFileSync(LIGHTHOUSE));
    assert.deepEqual(page.complaints, []);
  });
}

test("one seed draws one picture, another seed another", async () => {
  const page = await site.openPage();
  await enter(page);
  const drawn = async (seed) => {
    await page.locator("#seed").fill(seed);
    await page.locator(`#canvas[aria-label$="seed ${seed}"]`).waitFor();
    return page.locator("#canvas").evaluate((canvas) => canvas.toDataURL());
  };
  const [first, other, again] = [await drawn("7"), await drawn("8"), await drawn("7")];
  assert.equal(first, again);
  assert.notEqual(first, other);
});

test("without OffscreenCanvas the page draws itself, the very same picture", async () => {
  const pictures = [];
  for (const isOld of [false, true]) {
    const page = await site.openPage();
    if (isOld) {
      await page.addInitScript(() => delete globalThis.OffscreenCanvas);
      await page.reload();
    }
    await enter(page);
    const { storagePath } = await send(page, { prompt: "aurora over mountains", seed: "-3" });
    assert.equal(page.workers().length, isOld ? 0 : 1);
    pictures.push(await bytes(storagePath));
  }
  assert.deepEqual(pictures[0], pictures[1]);
});

test("an upload that is discarded leaves no row, and the page is ready for the next", async () => {
  const page = await site.openPage();
  await enter(page);
  const hold = site.recorder.hold({ method: "PUT", image: "forgotten", at: "request" });
  await press(page, { prompt: "forgotten" });
  await hold.reached;
  await discard(job(page, "forgotten"));
  await job(page, "forgotten").waitFor({ state: "detached" });
  hold.release();
  const { imageId } = await send(page, { prompt: "remembered" });
  assert.deepEqual(
    (await site.rowsOf(page)).map(({ id, prompt }) => [id, prompt]),
    [[imageId, "remembered"]],
  );
  assert.deepEqual(page.complaints, []);
});

test("what is signed out is gone from the page, and there again after signing in", async () => {
  const page = await site.openPage();
  await page.getByLabel("Email").fill("someone@example.com");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Create account" }).click();
  await send(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Pictures that arrive." }).waitFor();
  assert.equal(await page.locator("#grid li").count(), 0);

  await page.getByLabel("Email").fill("someone@example.com");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("#grid img").waitFor();
  await page.reload();
  await page.locator("#grid img").waitFor();
  assert.equal(await page.locator("#account-email").textContent(), "someone@example.com");
  assert.deepEqual(page.complaints, []);
});
