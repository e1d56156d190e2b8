// Every form in which a server gives a signed URL becomes one absolute, encoded URL of the same object.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rejection, SIGN, scripted, sentTo, sinkFor, storageError } from "./helpers.mjs";

const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ1cmwiOiJ4In0.a-b_c";
const KEYS = [
  "2026-05-11/lighthouse-42.png",
  "2026-05-11/light house-42.png",
  "2026-05-11/100%-42.png",
  "2026-05-11/100%25-42.png",
  "2026-05-11/100%20off-42.png",
  "2026-05-11/why?-42.png",
  "2026-05-11/why?token=x&y-42.png",
  "2026-05-11/c#-42.png",
  "2026-05-11/a+b&c=d;e,f:g@h$i-42.png",
  "2026-05-11/(it's)!*-42.png",
  "2026-05-11/Dämmerung 🗼-42.png",
  "user/2026-05-11/a/b/c-42.png",
  "object/sign/storage/v1-42.png",
];
const ELSEWHERE = "https://abcd.supabase.co";
const encoded = (key) => key.split("/").map(encodeURIComponent).join("/");

const FORMS = {
  "relative, without prefix, unencoded": (key) => `/object/sign/imagen-generated/${key}?token=${TOKEN}`,
  "relative, without prefix, encoded": (key) => `/object/sign/imagen-generated/${encoded(key)}?token=${TOKEN}`,
  "relative, with prefix, unencoded": (key) => `/storage/v1/object/sign/imagen-generated/${key}?token=${TOKEN}`,
  "relative, with prefix, encoded": (key) => `/storage/v1/object/sign/imagen-generated/${encoded(key)}?token=${TOKEN}`,
  "absolute, unencoded": (key, url) => `${url}/storage/v1/object/sign/imagen-generated/${key}?token=${TOKEN}`,
  "absolute, encoded": (key, url) => `${url}/storage/v1/object/sign/imagen-generated/${encoded(key)}?token=${TOKEN}`,
};

for (const [form, make] of Object.entries(FORMS)) {
  for (const key of KEYS) {
    test(`${form}: ${key}`, async (t) => {
      const signedURL = make(key, ELSEWHERE);
      const isListed = /[,;?]/.test(key);
      const body = isListed ? [{ error: null, path: key, signedURL }] : { signedURL };
      const server = await scripted(t, { "POST /storage/v1/object/sign": [{ body }] });
      const sink = await sinkFor(t, server);
      const text = await sink.signedUrl(key, 60);

      assert.match(text, /^[\x21-\x7e]+$/, "no raw space, no raw character outside of ASCII");
      const url = new URL(text);
      assert.equal(url.href.length, text.length, "nothing is left for a browser to encode");
      assert.equal(url.origin, form.startsWith("absolute") ? ELSEWHERE : server.url);
      assert.equal(decodeURIComponent(url.pathname), `/storage/v1/object/sign/imagen-generated/${key}`);
      assert.equal(url.search, `?token=${TOKEN}`);
      assert.equal(url.hash, "");

      const [{ target, body: sent }] = sentTo(server, SIGN);
      const bucket = "/storage/v1/object/sign/imagen-generated";
      assert.equal(decodeURIComponent(target), isListed ? bucket : `${bucket}/${key}`);
      assert.deepEqual(JSON.parse(sent), { expiresIn: 60, ...(isListed && { paths: [key] }) });
    });
  }
}

test("an image that is missing is told alike, however its path is signed", async (t) => {
  const missing = storageError("404", "not_found", "Object not found", "NoSuchKey");
  const none = { body: [{ error: "Either the object does not exist or …", path: "a,b.png", signedURL: null }] };
  for (const [path, answer] of [
    ["ab.png", missing],
    ["a,b.png", missing],
    ["a,b.png", none],
  ]) {
    const server = await scripted(t, { "POST /storage/v1/object/sign": [answer] });
    const sink = await sinkFor(t, server);
    await rejection(() => sink.signedUrl(path), {
      stage: "sign",
      code: "object_missing",
      retryable: false,
      attempts: 1,
    });
  }
});

test("a plain path is not changed", async (t) => {
  const server = await scripted(t, {
    [SIGN]: [{ body: { signedURL: `/object/sign/imagen-generated/a/b-1.png?token=t` } }],
  });
  const sink = await sinkFor(t, server);
  assert.equal(
    await sink.signedUrl("a/b-1.png"),
    `${server.url}/storage/v1/object/sign/imagen-generated/a/b-1.png?token=t`,
  );
  assert.deepEqual(JSON.parse(server.requests[0].body), { expiresIn: 3600 });
});

test("a project below a path keeps it in the URL", async (t) => {
  const server = await scripted(t, () => ({
    body: { signedURL: "/object/sign/imagen-generated/a/b-1.png?token=t" },
  }));
  const sink = await sinkFor(t, server, { url: `${server.url}/supabase/` });
  assert.equal(
    await sink.signedUrl("a/b-1.png"),
    `${server.url}/supabase/storage/v1/object/sign/imagen-generated/a/b-1.png?token=t`,
  );
  assert.equal(server.requests[0].target, "/supabase/storage/v1/object/sign/imagen-generated/a/b-1.png");
});

test("a bucket of one's own is signed for", async (t) => {
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL: "/object/sign/my pictures/a.png?token=t" } }] });
  const sink = await sinkFor(t, server, { bucket: "my pictures" });
  assert.equal(await sink.signedUrl("a.png"), `${server.url}/storage/v1/object/sign/my%20pictures/a.png?token=t`);
});
