// The small picture that may come with an image: it lies beside it, belongs to it, and is never in its way.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createRelay } from "imagen-cloud";
import { until } from "../support/until.mjs";
import { BUCKET, encode, fields, file, PIXEL, PNG, putUpload, startBench } from "./support.mjs";

let bench;
let user;
let other;
let bucket;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5", RETRY_DELAY_SECONDS: "1", STAGED_STALE_SECONDS: "1" });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
  bucket = await bench.worker.staged();
});
after(() => bench?.close());

/** Bytes of a small picture at most. */
const LIMIT = 256 * 1024;
const small = (bytes = PIXEL) => file(bytes, { name: "../../x.html", type: "text/html" });
const request = (changes) => fields({ slug: randomUUID(), imageId: randomUUID(), ...changes });
const post = (request, thumbnail = small(), { token = user.accessToken } = {}) =>
  bench.post(token, { request, image: file(PNG), ...(thumbnail && { thumbnail }) });
const ask = (path, { method = "GET", token = user.accessToken } = {}) =>
  bench.call(path, { method, headers: { authorization: `Bearer ${token}` } });
const placeOf = ({ slug }, { id } = user) => `${id}/2026-05-11/${slug}-42.png`;
const thumbOf = (request, owner) => `${placeOf(request, owner)}.thumb`;

async function answer(response) {
  const { code, detail, title, type, requestId, status, ...body } = await response.json();
  return { status: response.status, ...body, ...(code !== undefined && { code }) };
}

/** Its type and bytes, or nothing. */
async function stored(path) {
  const { data } = await bench.admin.storage.from(BUCKET).download(path);
  return data && { type: data.type, bytes: Buffer.from(await data.arrayBuffer()) };
}

/** Has the front answer requests for small pictures in its own way. */
async function meeting(answerOf, work) {
  bench.front.before = async ({ method, path }, response) => {
    if (method === "PUT" && path.endsWith(".thumb")) await answerOf(response);
  };
  try {
    return await work();
  } finally {
    bench.front.before = undefined;
  }
}

test("a small picture lies beside its image, is what its bytes say, has a link, and goes with it", async () => {
  const asked = request();
  assert.equal((await post(asked)).status, 201);
  assert.deepEqual(await stored(thumbOf(asked)), { type: "image/png", bytes: PIXEL });
  assert.deepEqual((await stored(placeOf(asked))).bytes, PNG);
  const { url } = await answer(await ask(`/api/signed-url?path=${encodeURIComponent(thumbOf(asked))}`));
  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), PIXEL);
  assert.equal((await ask(`/api/images/${asked.imageId}`, { method: "DELETE" })).status, 200);
  assert.deepEqual([await stored(thumbOf(asked)), await stored(placeOf(asked))], [null, null]);
});

test("whatever becomes of a small picture, its image arrives", async () => {
  const refuse = (status, body) => (response) => response.writeHead(status).end(body);
  for (const [name, meet] of Object.entries({
    "its type is refused": refuse(400, '{"statusCode":"415","error":"invalid_mime_type","message":"no"}'),
    "Storage is down": refuse(503, "down"),
    "its line breaks": (response) => response.destroy(),
  })) {
    const asked = request();
    const told = await meeting(meet, async () => answer(await post(asked)));
    assert.deepEqual([told.status, told.storagePath], [201, placeOf(asked)], name);
    assert.deepEqual((await stored(placeOf(asked))).bytes, PNG, name);
  }
});

test("a name that leaves no room for the ending has no small picture, and its image goes", async () => {
  const slug = (length) => randomUUID().padEnd(length - "-42.png".length, "x");
  for (const [length, tries] of [
    [255 - ".thumb".length, 1],
    [255, 0],
  ]) {
    const asked = request({ slug: slug(length) });
    let sent = 0;
    const count = () => {
      sent += 1;
    };
    assert.equal((await meeting(count, () => post(asked))).status, 201);
    assert.deepEqual([sent, (await stored(placeOf(asked))).bytes], [tries, PNG]);
  }
});

test("one that fails once is sent again", async () => {
  const asked = request();
  let failures = 0;
  const once = (response) => {
    failures += 1;
    if (failures === 1) response.writeHead(503).end("down");
  };
  assert.equal((await meeting(once, () => post(asked))).status, 201);
  assert.deepEqual((await stored(thumbOf(asked))).bytes, PIXEL);
});

test("an image that goes to an earlier one's path is not shown with that one's small picture", async () => {
  const shownWith = async (asked) => (await stored(thumbOf(asked)))?.bytes;
  const byTicket = async (asked) => {
    const wish = { ...asked, size: PNG.length, mimeType: "image/png" };
    const ticket = await (await bench.send("/api/tickets", user.accessToken, wish)).json();
    assert.equal((await putUpload(ticket, PNG)).status, 200);
    return bench.send(`/api/tickets/${ticket.ticket}/commit`, user.accessToken, asked);
  };
  const nameless = (asked) => post({ ...asked, imageId: undefined }, null);
  const refusing = (asked) =>
    meeting(
      (response) => response.writeHead(400).end("{}"),
      () => post(asked, small(PNG)),
    );
  for (const send of [(asked) => post(asked, null), nameless, byTicket, refusing]) {
    const earlier = request();
    assert.equal((await post(earlier)).status, 201);
    assert.equal((await post(earlier, null)).status, 201, "the same image again");
    assert.deepEqual(await shownWith(earlier), PIXEL, "changes nothing");
    const later = { ...earlier, imageId: randomUUID() };
    assert.equal((await send(later)).status, 201);
    assert.equal(await shownWith(later), undefined, String(send));
    assert.equal((await post({ ...earlier, imageId: randomUUID() }, small(PNG))).status, 201);
    assert.deepEqual(await shownWith(earlier), PNG, "another one may have its own");
  }
});

test("a small picture is not left where its image is refused for good", async () => {
  const asked = request();
  assert.equal((await post(asked)).status, 201);
  bench.front.before = async ({ method, path }, response) => {
    if (method !== "PUT" || path.endsWith(".thumb")) return;
    await until(async () => (await stored(thumbOf(asked)))?.bytes.equals(PNG), "the small picture");
    response.writeHead(400, { "content-type": "application/json" });
    response.end(
      '{"statusCode":"415","error":"invalid_mime_type","message":"mime type not supported","code":"InvalidMimeType"}',
    );
  };
  try {
    assert.equal((await post({ ...asked, imageId: randomUUID() }, small(PNG))).status, 415);
  } finally {
    bench.front.before = undefined;
  }
  assert.equal(await stored(thumbOf(asked)), null);
});

test("what is no small picture is refused by its part, before anything is sent", async () => {
  const large = Buffer.concat([PIXEL, Buffer.alloc(LIMIT)]);
  const before = bench.front.requests.length;
  for (const [thumbnail, status, code] of [
    [small(Buffer.from("<script>alert(1)</script>")), 415, "invalid_image"],
    [small(large), 413, "too_large"],
    [small(Buffer.alloc(0)), 400, "invalid_request"],
    ["a text", 400, "invalid_request"],
  ]) {
    assert.deepEqual(await answer(await post(request(), thumbnail)), { status, code, field: "thumbnail" });
  }
  const form = new FormData();
  for (const part of [request(), small(), small()]) {
    form.append(part instanceof Blob ? "thumbnail" : "request", part instanceof Blob ? part : JSON.stringify(part));
  }
  const twice = await encode(form, { authorization: `Bearer ${user.accessToken}` });
  const told = await answer(await bench.call("/api/sync", { method: "POST", ...twice }));
  assert.deepEqual(told, { status: 400, code: "invalid_request", field: "thumbnail" });
  assert.equal(bench.front.requests.length, before);
  const asked = request();
  assert.equal((await post(asked, small(large.subarray(0, LIMIT)))).status, 201, "as long as it may be");
});

test("a small picture waits with its image for Supabase, and both come to the place that was told", async () => {
  const { date, ...asked } = request();
  const imageId = randomUUID();
  bench.front.down = true;
  try {
    assert.equal((await answer(await post(asked))).status, 202);
    // As if it had been taken on another day than it arrives. Under an id that no message brings before it lies there.
    const { body, httpMetadata, customMetadata } = await bucket.get(`staged/${asked.imageId}`);
    const bytes = await new Response(body).arrayBuffer();
    const storagePath = encodeURIComponent(placeOf(asked));
    await bucket.put(`staged/${imageId}`, bytes, {
      httpMetadata,
      customMetadata: { ...customMetadata, storagePath },
    });
  } finally {
    bench.front.down = false;
  }
  await (await bench.worker.deliveries()).send({ imageId });
  for (const id of [imageId, asked.imageId]) {
    await until(async () => (await bucket.head(`staged/${id}`)) === null, "its delivery");
  }
  assert.deepEqual((await stored(placeOf(asked))).bytes, PNG);
  assert.deepEqual(await stored(thumbOf(asked)), { type: "image/png", bytes: PIXEL });
});

test("a small picture comes with a ticket's commit, and a bad one keeps the upload for another commit", async () => {
  const asked = request({ size: PIXEL.length, mimeType: "image/png" });
  const ticket = await (await bench.send("/api/tickets", user.accessToken, asked)).json();
  assert.equal((await putUpload(ticket, PIXEL)).status, 200);
  const commit = async (parts, token = user.accessToken) => {
    const form = new FormData();
    form.append("request", JSON.stringify(asked));
    for (const [name, part] of Object.entries(parts)) form.append(name, part);
    const encoded = await encode(form, { authorization: `Bearer ${token}` });
    return answer(await bench.call(`/api/tickets/${ticket.ticket}/commit?ttl=60`, { method: "POST", ...encoded }));
  };
  const bad = await commit({ thumbnail: small(Buffer.from("GIF")) });
  assert.deepEqual(bad, { status: 415, code: "invalid_image", field: "thumbnail" });
  assert.equal((await commit({ thumbnail: small(), image: file(PNG) })).code, "invalid_request", "no other part");
  assert.equal((await commit({ thumbnail: small() }, other.accessToken)).code, "ticket_invalid");
  assert.equal(await stored(thumbOf(asked)), null);
  const { status, signedUrl, ...place } = await commit({ thumbnail: small(PNG) });
  assert.deepEqual([status, place], [201, { imageId: asked.imageId, storagePath: placeOf(asked) }]);
  assert.equal((await fetch(signedUrl)).status, 200);
  assert.deepEqual((await stored(thumbOf(asked))).bytes, PNG);
});

test("another user's small picture is neither read, replaced nor removed", async () => {
  const asked = request();
  assert.equal((await post(asked)).status, 201);
  const before = await stored(thumbOf(asked));
  const token = other.accessToken;
  const path = encodeURIComponent(thumbOf(asked));
  const denied = { status: 403, code: "not_yours" };
  assert.deepEqual(await answer(await ask(`/api/signed-url?path=${path}`, { token })), denied);
  assert.deepEqual(await answer(await ask(`/api/images?storagePath=${path}`, { method: "DELETE", token })), denied);
  // By the id of an image that is there, and by all that a request might name a place with.
  const taken = await answer(await post(asked, small(PNG), { token }));
  assert.deepEqual([taken.status, taken.code], [409, "id_taken"]);
  assert.equal(await stored(thumbOf(asked, other)), null, "nothing of a refused image stays");
  const climbing = `../../${user.id}/2026-05-11/${asked.slug}`;
  for (const changes of [
    { slug: climbing },
    { date: `../${user.id}/2026-05-11` },
    { ext: "png.thumb" },
    { ext: `png/../../../${thumbOf(asked)}` },
    { pathPrefix: user.id },
    { ownerUserId: user.id },
  ]) {
    const refused = await answer(await post(request(changes), small(PNG), { token }));
    assert.equal(refused.status, 400, JSON.stringify(changes));
  }
  for (const changes of [{ storagePath: placeOf(asked) }, { thumbnail: thumbOf(asked) }]) {
    assert.equal((await post(request(changes), small(PNG), { token })).status, 400, JSON.stringify(changes));
  }
  assert.deepEqual(await stored(thumbOf(asked)), before);
});

test("removed while it comes, an image leaves no small picture behind", async () => {
  const asked = request();
  let removing;
  const meet = async () => {
    removing ??= ask(`/api/images/${asked.imageId}`, { method: "DELETE" });
    await removing;
  };
  assert.equal((await meeting(meet, () => post(asked))).status, 410);
  assert.deepEqual([await stored(thumbOf(asked)), await stored(placeOf(asked))], [null, null]);
});

/** A canvas, as a page has one: it draws a pixel of whatever it is given, and counts. */
function withCanvas(t) {
  const drawn = { count: 0 };
  globalThis.createImageBitmap = async () => ({ width: 640, height: 480, close() {} });
  globalThis.OffscreenCanvas = class {
    getContext = () => ({
      drawImage() {},
      fillRect() {},
      clearRect() {},
      getImageData: () => ({ data: [12, 120, 200] }),
    });
    convertToBlob = async ({ type }) => {
      drawn.count += 1;
      return new Blob([PIXEL], { type });
    };
  };
  t.after(() => {
    delete globalThis.createImageBitmap;
    delete globalThis.OffscreenCanvas;
  });
  return drawn;
}

async function relayOf(t, options = {}) {
  const sent = [];
  const line = (url, init) => {
    sent.push(`${init.method} ${new URL(url).pathname}`);
    return fetch(url, init);
  };
  const accessToken = () => user.accessToken;
  const relay = await createRelay({ url: bench.url, ownerUserId: user.id, accessToken, fetch: line, ...options });
  t.after(() => relay.free());
  return { relay, sent };
}

test("a relay draws a small picture and sends it along, and its gallery has the links of both", async (t) => {
  const drawn = withCanvas(t);
  const { relay, sent } = await relayOf(t, { thumbnail: { side: 256 } });
  const { relay: byTicket } = await relayOf(t, { thumbnail: { side: 256 }, resumableFrom: 1 });
  const { relay: plain } = await relayOf(t);
  const wish = () => ({ ...request(), image: PNG });
  const done = [await plain.sync(wish()), await byTicket.sync(wish())];
  const [outcome, ...more] = await relay.syncMany([wish(), wish()], { signedUrl: 60 });
  done.push(outcome, ...more);
  assert.deepEqual(sent, ["POST /api/sync", "POST /api/sync"], "the answers bring the links");
  assert.equal(drawn.count, 3);
  assert.deepEqual(Buffer.from(await (await fetch(outcome.signedUrl)).arrayBuffer()), PNG);
  const small = await Promise.all(done.map(({ storagePath }) => stored(`${storagePath}.thumb`)));
  assert.deepEqual(small, [null, ...Array(3).fill({ type: "image/png", bytes: PIXEL })]);
  sent.length = 0;
  const { images } = await relay.list({ limit: 4, thumbnail: true });
  assert.deepEqual(sent, ["GET /api/images"]);
  const shown = new Map(images.map((image) => [image.imageId, image]));
  for (const [index, { imageId }] of done.entries()) {
    const { signedUrl, thumbnailUrl } = shown.get(imageId);
    assert.equal((await fetch(signedUrl)).status, 200);
    if (index === 0) assert.equal(thumbnailUrl, null);
    else assert.deepEqual(Buffer.from(await (await fetch(thumbnailUrl)).arrayBuffer()), PIXEL);
  }
  const alone = await relay.signedUrl(outcome.storagePath, 60, { thumbnail: true });
  assert.deepEqual(Buffer.from(await (await fetch(alone)).arrayBuffer()), PIXEL);
  const { signedUrl, ...linkless } = (await relay.list({ limit: 1 })).images[0];
  assert.equal("thumbnailUrl" in linkless, false);
});
