// A Worker that reaches Supabase by another address than pages do, as within a self-hosted Supabase: what leaves it for a page
// begins with the pages' address, and it itself uses only its own.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createRelay } from "imagen-cloud";
import { importModule } from "./modules.mjs";
import { BUCKET, fields, file, mint, PIXEL, PNG, putUpload, startBench } from "./support.mjs";

let bench;
let token;
let headers;
before(async () => {
  bench = await startBench(({ url }) => ({ SUPABASE_PUBLIC_URL: `${url}/rest/v1/` }));
  const { id } = await bench.supabase.createUser();
  // Auth knows the pages' address alone.
  token = await mint(bench.supabase.jwtSecret, { sub: id, iss: `${bench.supabase.url}/auth/v1` });
  headers = { authorization: `Bearer ${token}` };
});
after(() => bench?.close());

const request = () => fields({ slug: randomUUID(), imageId: randomUUID() });
const get = async (path) => (await bench.call(path, { headers })).json();

/** The link begins with the pages' address, and opens. */
async function isSeen(link) {
  assert.ok(link?.startsWith(`${bench.supabase.url}/storage/v1/object/sign/${BUCKET}/`), link);
  const answer = await fetch(link);
  assert.equal(answer.status, 200, await answer.text());
}

/** Sends an image with a small picture. */
async function send(query = "") {
  const asked = request();
  const form = new FormData();
  form.append("request", JSON.stringify(asked));
  form.append("image", file(PNG));
  form.append("thumbnail", file(PIXEL));
  const encoded = new Response(form);
  const type = encoded.headers.get("content-type");
  const answer = await bench.call(`/api/sync${query}`, {
    method: "POST",
    body: await encoded.arrayBuffer(),
    headers: { ...headers, "content-type": type },
  });
  assert.equal(answer.status, 201);
  return { ...(await answer.json()), asked };
}

test("every link that a page is given has the pages' address", async () => {
  const { storagePath, imageId, signedUrl } = await send("?ttl=60");
  await isSeen(signedUrl);
  await isSeen((await get(`/api/signed-url?path=${storagePath}`)).url);
  const [image] = (await get("/api/images?ttl=60&thumbnail=true")).images;
  await isSeen(image.signedUrl);
  await isSeen(image.thumbnailUrl);
  await isSeen((await get(`/api/images/${imageId}?ttl=60`)).signedUrl);
});

test("so has a link of a smaller picture, and one of a name that the package has to sign", async () => {
  const { storagePath, imageId } = await send("?ttl=60");
  await isSeen((await get(`/api/signed-url?path=${storagePath}&width=20`)).url);
  await isSeen((await get(`/api/images/${imageId}?ttl=60&width=20`)).signedUrl);
  const form = { request: { ...request(), slug: "a light,house" } };
  const { storagePath: odd } = await (await bench.post(token, form)).json();
  await isSeen((await get(`/api/signed-url?path=${encodeURIComponent(odd)}`)).url);
});

test("a page uploads by the pages' address, and its commit's link has it too", async () => {
  const asked = request();
  const wish = { ...asked, size: PIXEL.length, mimeType: "image/png" };
  const ticket = await (await bench.send("/api/tickets", token, wish)).json();
  assert.ok(ticket.uploadUrl.startsWith(`${bench.supabase.url}/storage/v1/object/upload/sign/`), ticket.uploadUrl);
  assert.equal(ticket.resumableUrl, `${bench.supabase.url}/storage/v1/upload/resumable/sign`);
  assert.equal((await putUpload(ticket, PIXEL)).status, 200);
  const commit = await bench.send(`/api/tickets/${ticket.ticket}/commit?ttl=60`, token, asked);
  await isSeen((await commit.json()).signedUrl);
});

test("a relay's large image goes the same way", async (t) => {
  const relay = await createRelay({ url: bench.url, accessToken: () => token, resumableFrom: 1 });
  t.after(() => relay.free());
  const { signedUrl } = await relay.sync({ ...request(), image: PNG }, { signedUrl: 60 });
  await isSeen(signedUrl);
});

test("an address of an upload is the pages', however Storage tells it", async (t) => {
  const { signUpload } = await importModule("storage.ts");
  const settings = { supabaseUrl: "http://kong:8000", publicUrl: "https://x.example/db", serviceKey: "key" };
  const told = async (url) => {
    const answering = t.mock.method(globalThis, "fetch", async () => Response.json({ url, token: "t" }));
    try {
      return (await signUpload("a.png", settings)).url;
    } finally {
      answering.mock.restore();
    }
  };
  const path = `/object/upload/sign/${BUCKET}/a.png?token=t`;
  for (const url of [path, `/storage/v1${path}`, `http://kong:8000/storage/v1${path}`]) {
    assert.equal(await told(url), `https://x.example/db/storage/v1${path}`, url);
  }
  const elsewhere = `https://y.example/storage/v1${path}`;
  assert.equal(await told(elsewhere), elsewhere);
  for (const url of ["object/upload/x", "javascript:alert(1)"]) {
    await assert.rejects(told(url), { code: "upstream_refused" });
  }
});

test("an address that is none is named by its setting, with what to do", async () => {
  const { readSettings } = await importModule("settings.ts");
  const read = (url) =>
    readSettings({ SUPABASE_URL: "http://kong:8000", SUPABASE_SERVICE_KEY: "key", SUPABASE_PUBLIC_URL: url });
  for (const none of [undefined, "", " "]) assert.equal(read(none).publicUrl, "http://kong:8000");
  for (const url of ["https://x.example", "https://x.example/", "https://x.example/storage/v1"]) {
    assert.equal(read(url).publicUrl, "https://x.example");
    assert.equal(read(url).supabaseUrl, "http://kong:8000");
  }
  for (const url of [
    "x.example",
    "ftp://x.example",
    "https://u@x.example",
    "https://x.example?y",
    "https://x\u00e4",
    "/",
  ]) {
    assert.throws(
      () => read(url),
      ({ code, cause }) => code === "misconfigured" && /^SUPABASE_PUBLIC_URL is no .*: set it to/.test(cause.message),
      url,
    );
  }
  const { issuers } = read("https://x.example");
  assert.ok(
    ["http://kong:8000/auth/v1", "https://x.example/auth/v1", "https://x.example"].every((url) =>
      issuers.includes(url),
    ),
  );
});
