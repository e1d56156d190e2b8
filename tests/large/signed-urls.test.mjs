// Signed URLs of real objects, one and many, and what they answer with: the bytes and type of what was uploaded.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { decodeJwt } from "jose";
import { startBrowser } from "../support/browser.mjs";
import { LEGAL_NAMES } from "../support/legal-names.mjs";
import { recorder, requestOf, setUp, start as startAs, supabase } from "../support/many.mjs";
import { until } from "../support/until.mjs";
import { sha256 } from "../support/verify.mjs";

setUp();

const MIB = 1024 * 1024;
const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
const WEBP = await readFile(new URL("../data/lighthouse.webp", import.meta.url));
/** All that Storage allows in a name and that means something in a URL, and what looks escaped but is not. */
const ODD = ["light house", "a+b&c=d;e,f:g@h$i", "why?token=x&y", "(it's)!*", "a/b/c", "object/sign"];

const start = (t, options) => startAs(t, "row-level security", options);

const signings = () => recorder.requests.filter(({ target }) => target.includes("/object/sign"));

async function download(url) {
  const response = await fetch(url);
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

test("many URLs come with one request, in the paths' order, null for a missing image", async (t) => {
  const { user, sink } = await start(t);
  const requests = Array.from({ length: 20 }, (_, seed) => requestOf(seed));
  const outcomes = await sink.syncMany(requests);
  const known = outcomes.map(({ storagePath }) => storagePath);
  const paths = [...known, `${user.id}/2026-05-11/missing-1.png`].sort((one, other) => (one < other ? 1 : -1));
  paths.push(known[7]); // twice in one call

  recorder.requests.length = 0;
  const urls = await sink.signedUrls(paths, 60);
  assert.equal(signings().length, 1);
  assert.equal(urls.length, paths.length);
  for (const [index, path] of paths.entries()) {
    const seed = known.indexOf(path);
    if (seed < 0) assert.equal(urls[index], null);
    else assert.ok((await download(urls[index])).bytes.equals(requests[seed].image), path);
  }
});

test("more than 1000 URLs come with several requests", async (t) => {
  const { user, sink } = await start(t);
  const { storagePath } = await sink.sync(requestOf(1));
  const paths = Array.from({ length: 1002 }, (_, index) => `${user.id}/missing-${index}.png`);
  for (const at of [0, 999, 1000, 1001]) paths[at] = storagePath;
  recorder.requests.length = 0;
  const urls = await sink.signedUrls(paths, 60);
  assert.equal(signings().length, 2);
  const found = urls.flatMap((url, index) => (url === null ? [] : [index]));
  assert.deepEqual(found, [0, 999, 1000, 1001]);
  for (const at of found) assert.equal((await download(urls[at])).response.status, 200);
});

test("no URLs are asked for when there are no paths", async (t) => {
  const { sink } = await start(t);
  assert.deepEqual(await sink.signedUrls([], 60), []);
  assert.equal(recorder.requests.length, 0);
});

test("another user's images have no URL", async (t) => {
  const { sink: first } = await start(t);
  const theirs = await first.sync(requestOf(1));
  const { sink } = await start(t);
  const ours = await sink.sync(requestOf(1));
  const [one, other] = await sink.signedUrls([theirs.storagePath, ours.storagePath], 60);
  assert.equal(one, null);
  assert.equal((await download(other)).response.status, 200);
});

test("a URL lives for the time that was asked for", async (t) => {
  const { sink } = await start(t);
  const { storagePath } = await sink.sync(requestOf(1));
  const [long] = await sink.signedUrls([storagePath], 3600);
  assert.equal((await download(long)).response.status, 200);
  const expiry = ({ iat, exp }) => exp - iat;
  assert.equal(expiry(decodeJwt(new URL(long).searchParams.get("token"))), 3600);
  const [brief] = await sink.signedUrls([storagePath], 1);
  await until(async () => (await download(brief)).response.status === 400, "the end of its time");
  assert.equal((await download(long)).response.status, 200);
});

for (const slug of ODD) {
  test(`a URL of an odd name works: ${slug}`, async (t) => {
    const { user, sink } = await start(t);
    const asked = requestOf(1, { slug });
    const uploaded = await sink.sync(asked);
    assert.equal(uploaded.storagePath, `${user.id}/2026-05-11/${slug}-1.png`);
    const options = { download: "a & b+c?.png" };
    const urls = [
      await sink.signedUrl(uploaded.storagePath, 60),
      await sink.signedUrl(uploaded.storagePath, 60, options),
      ...(await sink.signedUrls([uploaded.storagePath], 60)),
      ...(await sink.signedUrls([uploaded.storagePath], 60, options)),
    ];
    for (const url of urls) {
      assert.match(url, /^[\x21-\x7e]+$/);
      assert.ok((await download(url)).bytes.equals(asked.image), url);
    }
  });
}

test("whatever Storage takes in a name, the image is behind its URL, signed alone or with others", async (t) => {
  const { user, sink } = await start(t);
  const requests = LEGAL_NAMES.map((slug, seed) => requestOf(seed, { slug }));
  const outcomes = await sink.syncMany(requests);
  const paths = outcomes.map(
    ({ storagePath, error }, at) => storagePath ?? assert.fail(`${LEGAL_NAMES[at]}: ${error}`),
  );
  assert.deepEqual(
    paths,
    LEGAL_NAMES.map((slug, seed) => `${user.id}/2026-05-11/${slug}-${seed}.png`),
  );
  const together = await sink.signedUrls(paths, 60, { download: "a,b;c?.png" });
  for (const [index, path] of paths.entries()) {
    for (const url of [together[index], await sink.signedUrl(path, 60)]) {
      assert.ok((await download(url)).bytes.equals(requests[index].image), url);
    }
  }
});

test("download names the file", async (t) => {
  const { sink } = await start(t);
  const { storagePath } = await sink.sync(requestOf(1));
  for (const [wish, name] of [
    ["a b.png", "a%20b.png"],
    ["a&b=c+d#e?.png", "a%26b%3Dc%2Bd%23e%3F.png"],
    ["100%.png", "100%25.png"],
    ["Dämmerung 🗼.png", encodeURIComponent("Dämmerung 🗼.png")],
  ]) {
    for (const url of [
      await sink.signedUrl(storagePath, 60, { download: wish }),
      ...(await sink.signedUrls([storagePath], 60, { download: wish })),
    ]) {
      const { response } = await download(url);
      const disposition = response.headers.get("content-disposition");
      assert.equal(disposition, `attachment; filename=${name}; filename*=UTF-8''${name};`, url);
    }
  }
  const kinds = [true, false, undefined].map(async (wish) => {
    const url = await sink.signedUrl(storagePath, 60, { download: wish });
    return (await download(url)).response.headers.get("content-disposition");
  });
  assert.deepEqual(await Promise.all(kinds), ["attachment;", null, null]);
});

test("a browser saves what says download under its name, and shows what does not", async (t) => {
  const { sink } = await start(t);
  const asked = requestOf(1);
  const { storagePath } = await sink.sync(asked);
  const browser = await startBrowser();
  t.after(() => browser.close());
  const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
  for (const [wish, name] of [
    ["Dämmerung + 100 %.png", "Dämmerung + 100 %.png"],
    [true, "lighthouse-1.png"],
  ]) {
    const url = await sink.signedUrl(storagePath, 60, { download: wish });
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.goto(url).catch(() => {}), // "Download is starting"
    ]);
    assert.equal(saved.suggestedFilename(), name);
    assert.ok((await readFile(await saved.path())).equals(asked.image));
  }
  await page.goto(await sink.signedUrl(storagePath, 60));
  assert.equal(await page.evaluate(() => document.contentType), "image/png");
});

/** As it was stored: a signed URL answers with Expires instead. */
async function cachingOf(storagePath) {
  const text = "select metadata->>'cacheControl' as caching from storage.objects where name = $1";
  return (await supabase.sql(text, [storagePath]))[0].caching;
}

test("an image in pieces is kept as it was given: bytes, type and caching", async (t) => {
  const { user, sink } = await start(t, { cacheControl: "public, max-age=86400" });
  const bytes = new Uint8Array(20 * MIB + 1);
  for (let index = 0; index < bytes.length; index += 1024) bytes[index] = (index / 1024) % 251;
  bytes.set(WEBP);
  const { storagePath, imageId } = await sink.sync(requestOf(1, { image: new Blob([bytes]) }));
  assert.equal(storagePath, `${user.id}/2026-05-11/lighthouse-1.webp`);
  const pieces = recorder.requests.filter(({ target }) => target.includes("/upload/resumable"));
  assert.deepEqual(
    pieces.map(({ method, headers }) => [method, Number(headers["content-length"])]),
    [
      ["POST", 6 * MIB],
      ["PATCH", 6 * MIB],
      ["PATCH", 6 * MIB],
      ["PATCH", 2 * MIB + 1],
    ],
  );
  const { response, bytes: served } = await download(await sink.signedUrl(storagePath, 60));
  assert.equal(sha256(served), sha256(bytes));
  assert.equal(response.headers.get("content-type"), "image/webp");
  assert.equal(await cachingOf(storagePath), "max-age=86400");
  const [row] = await supabase.sql("select storage_path, width, height from imagen.images where id = $1", [imageId]);
  assert.equal(row.storage_path, storagePath);
  assert.ok(row.width > 0 && row.height > 0, "by the image's header");
});

test("a plain upload's caching is what was asked for", async (t) => {
  const { sink } = await start(t, { cacheControl: "max-age=60, immutable" });
  const { storagePath } = await sink.sync(requestOf(1));
  assert.equal(await cachingOf(storagePath), "max-age=60, immutable");
});

test("sync over an image in pieces takes its place", async (t) => {
  const { sink } = await start(t, { resumableFrom: 1 });
  const paths = new Set();
  for (const text of ["first", "second, and longer"]) {
    const image = Buffer.concat([PNG, Buffer.from(text)]);
    const { storagePath } = await sink.sync(requestOf(1, { image }));
    paths.add(storagePath);
    assert.ok((await download(await sink.signedUrl(storagePath, 60))).bytes.equals(image));
  }
  assert.equal(paths.size, 1);
});
