// Resumable uploads answer as the real Storage server does.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import http from "node:http";
import { before, describe, test } from "node:test";
import { Upload } from "tus-js-client";
import { signJwt } from "../../supabase/keys.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { until } from "../support/until.mjs";
import {
  as,
  assertStorageError,
  BUCKET,
  objectUrl,
  onEveryDatabase,
  put,
  RESUMABLE,
  send,
  tus,
  uploadMetadata,
} from "./helpers.mjs";

const OFFSET_STREAM = { "content-type": "application/offset+octet-stream" };
const UPSERT = { "x-upsert": "true" };

/** TUS requests of one user to one backend. */
function client(backend, headers) {
  return {
    create: (key, length, { metadata = {}, more = {}, body } = {}) =>
      send(
        backend,
        "POST",
        RESUMABLE,
        tus(headers, { "upload-length": String(length), "upload-metadata": uploadMetadata(key, metadata), ...more }),
        body,
      ),
    patch: (url, offset, body, more = {}) =>
      send(backend, "PATCH", url, tus(headers, { ...OFFSET_STREAM, "upload-offset": String(offset), ...more }), body),
    head: (url, more = {}) => send(backend, "HEAD", url, tus(headers, more)),
    remove: (url, more = {}) => send(backend, "DELETE", url, tus(headers, more)),
    info: (key) => send(backend, "GET", objectUrl(key, "object/info"), headers),
    read: (key) => send(backend, "GET", objectUrl(key), headers),
  };
}

const offset = (answer) => answer.headers.get("upload-offset");
const isComplete = (answer) => answer.headers.get("tus-complete") === "1";

onEveryDatabase("a resumable upload", (backend) => {
  let alice;
  let bob;
  let hers;
  let his;
  before(async () => {
    alice = await backend().createUser();
    bob = await backend().createUser();
    hers = client(backend(), as.user(backend(), alice));
    his = client(backend(), as.user(backend(), bob));
  });
  const newKey = () => `${alice.id}/2026-05-11/${randomUUID()} 1.png`;
  const begin = async (key, length, options) => {
    const answer = await hers.create(key, length, options);
    assert.equal(answer.status, 201, answer.text);
    return answer.headers.get("location");
  };

  test("goes from its offset to an ordinary object with the version its URL ends in", async () => {
    const key = newKey();
    const url = await begin(key, 10);
    const name = Buffer.from(url.split("/").pop(), "base64url").toString();
    const version = name.split("/").pop();

    assert.equal(offset(await hers.head(url)), "0");
    const first = await hers.patch(url, 0, "01234");
    assert.deepEqual([first.status, offset(first), isComplete(first)], [204, "5", false]);
    const head = await hers.head(url);
    assert.deepEqual([offset(head), head.headers.get("upload-length")], ["5", "10"]);
    const last = await hers.patch(url, 5, "56789");
    assert.deepEqual([last.status, offset(last), isComplete(last)], [204, "10", true]);

    const { json } = await hers.info(key);
    assert.deepEqual(
      [json.version, json.size, json.content_type, json.cache_control],
      [version, 10, "image/png", "max-age=3600"],
    );
    assert.equal((await hers.read(key)).text, "0123456789");
  });

  test("has an absolute URL, built from X-Forwarded-*", async () => {
    const more = { "x-forwarded-host": "project.example.com", "x-forwarded-proto": "https" };
    const url = await begin(newKey(), 1, { more });
    assert.ok(url.startsWith(`https://project.example.com${RESUMABLE}/`), url);
  });

  test("may be created with all of its bytes", async () => {
    const key = newKey();
    const answer = await hers.create(key, 3, { more: OFFSET_STREAM, body: "abc" });
    assert.deepEqual([answer.status, offset(answer), isComplete(answer)], [201, "3", true]);
    assert.equal((await hers.read(key)).text, "abc");
  });

  test("may be created with some of its bytes", async () => {
    const answer = await hers.create(newKey(), 6, { more: OFFSET_STREAM, body: "abc" });
    assert.deepEqual([answer.status, offset(answer), isComplete(answer)], [201, "3", false]);
  });

  test("may be created before its length is known", async () => {
    const key = newKey();
    const metadata = uploadMetadata(key);
    const headers = tus(as.user(backend(), alice), { "upload-defer-length": "1", "upload-metadata": metadata });
    const url = (await send(backend(), "POST", RESUMABLE, headers)).headers.get("location");
    await hers.patch(url, 0, "abc");
    const last = await hers.patch(url, 3, "def", { "upload-length": "6" });
    assert.ok(isComplete(last));
    assert.equal((await hers.read(key)).text, "abcdef");
  });

  test("answers a bad or expired token 400 with JSON, on HEAD too", async () => {
    const url = await begin(newKey(), 3);
    const expired = signJwt({ role: "authenticated", sub: alice.id, exp: 1 }, backend().jwtSecret);
    for (const token of ["no-jwt", expired]) {
      const other = client(backend(), { apikey: backend().publishableKey, authorization: `Bearer ${token}` });
      assertStorageError(await other.create(newKey(), 3), "403", "AccessDenied");
      assertStorageError(await other.patch(url, 0, "abc"), "403", "AccessDenied");
      assert.equal((await other.head(url)).status, 400);
    }
    assert.equal((await hers.patch(url, 0, "abc")).status, 204);
  });

  test("answers everything else by a real status with text", async () => {
    const taken = newKey();
    await put(backend(), taken, as.user(backend(), alice));
    const answers = {
      403: await his.create(newKey(), 3),
      404: await hers.create(newKey(), 3, { metadata: { bucketName: "nowhere" } }),
      400: await hers.create(`${alice.id}/a%b.png`, 3),
      409: await hers.create(taken, 3),
      413: await hers.create(newKey(), 100 * 1024 * 1024 + 1),
      415: await hers.create(newKey(), 3, { metadata: { contentType: "text/plain" } }),
      412: await send(backend(), "POST", RESUMABLE, as.user(backend(), alice)),
    };
    for (const [status, answer] of Object.entries(answers)) {
      assert.equal(answer.status, Number(status), answer.text);
      assert.equal(answer.json, undefined);
      assert.notEqual(answer.text, "");
    }
  });

  test("answers 404 to an id it does not know, and to one with another's path", async () => {
    const url = await begin(newKey(), 3);
    const version = Buffer.from(url.split("/").pop(), "base64url").toString().split("/").pop();
    for (const name of [`local/${BUCKET}/${newKey()}/${randomUUID()}`, `local/${BUCKET}/${newKey()}/${version}`]) {
      const unknown = `${RESUMABLE}/${Buffer.from(name).toString("base64url")}`;
      assert.equal((await hers.head(unknown)).status, 404);
      assert.equal((await hers.patch(unknown, 0, "abc")).status, 404);
    }
  });

  test("answers 400 to what is no id", async () => {
    assert.equal((await hers.head(`${RESUMABLE}/junk`)).status, 400);
    assert.equal((await hers.patch(`${RESUMABLE}/junk`, 0, "abc")).status, 400);
    assert.equal((await hers.remove(`${RESUMABLE}/junk`)).status, 400);
  });

  test("tells its offset to whoever has a valid token, before and after its end", async () => {
    const url = await begin(newKey(), 3);
    const state = async (who) => {
      const answer = await who.head(url);
      return [answer.status, offset(answer), answer.headers.get("upload-length")];
    };
    assert.deepEqual(await state(his), [200, "0", "3"]);
    await hers.patch(url, 0, "abc");
    for (const who of [hers, his]) assert.deepEqual(await state(who), [200, "3", "3"]);
  });

  test("that is finished answers a PATCH at its end and a DELETE by whether they may overwrite", async () => {
    const key = newKey();
    const url = await begin(key, 3, { more: UPSERT });
    await hers.patch(url, 0, "abc", UPSERT);
    const again = await hers.patch(url, 3, "", UPSERT);
    assert.deepEqual([again.status, offset(again), isComplete(again)], [204, "3", true]);
    const removal = await hers.remove(url, UPSERT);
    assert.deepEqual([removal.status, removal.text], [400, "Cannot terminate an already completed upload"]);
    assert.equal((await hers.patch(url, 3, "")).status, 409);
    assert.equal((await hers.remove(url)).status, 409);
    assert.equal((await hers.read(key)).text, "abc");
  });

  test("answers a wrong offset 409 and closes the connection", async () => {
    const url = await begin(newKey(), 10);
    await hers.patch(url, 0, "01234");
    const answer = await hers.patch(url, 3, "34567");
    assert.deepEqual([answer.status, answer.headers.get("connection")], [409, "close"]);
    assert.equal(offset(await hers.head(url)), "5");
  });

  test("answers 409 once it is finished", async () => {
    const url = await begin(newKey(), 3);
    await hers.patch(url, 0, "abc");
    const again = await hers.patch(url, 0, "abc");
    assert.equal(again.status, 409);
    assert.match(again.text, /already exists/);
    assert.equal((await hers.remove(url)).status, 409);
  });

  test("is removed while it is not finished", async () => {
    const url = await begin(newKey(), 3);
    assert.equal((await hers.remove(url)).status, 204);
    assert.equal((await hers.head(url)).status, 404);
  });

  test("overwrites with x-upsert on every request, without it 409 at the end", async () => {
    const key = newKey();
    await put(backend(), key, as.user(backend(), alice), "old");
    const without = await begin(key, 3, { more: UPSERT });
    assert.equal((await hers.patch(without, 0, "new")).status, 409);
    assert.equal((await hers.read(key)).text, "old");

    const url = await begin(key, 3, { more: UPSERT });
    assert.ok(isComplete(await hers.patch(url, 0, "new", UPSERT)));
    assert.equal((await hers.read(key)).text, "new");
  });

  test("has its policies checked on each request", async () => {
    const url = await begin(newKey(), 3);
    assert.equal((await his.patch(url, 0, "abc")).status, 403);
    assert.equal((await his.remove(url)).status, 403);
    assert.equal((await hers.patch(url, 0, "abc")).status, 204);
  });

  test("keeps what arrived before its connection was cut", async () => {
    const url = await begin(newKey(), 2_000_000);
    const request = http.request(url, {
      method: "PATCH",
      headers: tus(as.user(backend(), alice), {
        ...OFFSET_STREAM,
        "upload-offset": "0",
        "content-length": "2000000",
      }),
    });
    request.on("error", () => {});
    await new Promise((resolve) => request.write(Buffer.alloc(1_000_000), resolve));
    request.destroy();
    await new Promise((resolve) => request.once("close", resolve));
    // HEAD waits for the cut request to let go of the upload; one that came before it says 0.
    const reached = await until(async () => Number(offset(await hers.head(url))), "an offset");
    assert.ok(reached <= 1_000_000, String(reached));
    const last = await hers.patch(url, reached, Buffer.alloc(2_000_000 - reached));
    assert.ok(isComplete(last), last.text);
  });

  test("is taken over by a newer request; the older one answers 204 with the offset it reached", async () => {
    const url = await begin(newKey(), 1000);
    const older = http.request(url, {
      method: "PATCH",
      headers: tus(as.user(backend(), alice), { ...OFFSET_STREAM, "upload-offset": "0", "content-length": "1000" }),
    });
    older.on("error", () => {});
    let answer;
    older.on("response", (response) => {
      answer = response;
    });
    await new Promise((resolve) => older.write(Buffer.alloc(400), resolve));
    // A HEAD that came before the PATCH evicts nothing: another one does.
    while (answer === undefined) await hers.head(url);
    assert.deepEqual([answer.statusCode, answer.headers["upload-offset"]], [204, "400"]);
    assert.equal(offset(await hers.head(url)), "400");
    older.destroy();
    assert.ok(isComplete(await hers.patch(url, 400, Buffer.alloc(600))));
  });

  test("goes by an upload token alone, again and with another type", async () => {
    const key = `${alice.id}/.incoming/${randomUUID()}`;
    const made = await send(backend(), "POST", objectUrl(key, "object/upload/sign"), {
      ...as.service(backend()),
      ...UPSERT,
    });
    const bearer = client(backend(), { "x-signature": made.json.token });
    const createSigned = (name, contentType) =>
      send(
        backend(),
        "POST",
        `${RESUMABLE}/sign`,
        tus(
          { "x-signature": made.json.token },
          { "upload-length": "3", "upload-metadata": uploadMetadata(name, { contentType }) },
        ),
      );
    for (const [contentType, bytes] of [
      ["image/png", "one"],
      ["image/webp", "two"],
    ]) {
      const url = (await createSigned(key, contentType)).headers.get("location");
      assert.ok(url.includes("/upload/resumable/sign/"), url);
      assert.ok(isComplete(await bearer.patch(url, 0, bytes)));
      const { json } = await hers.info(key);
      assert.equal(json.content_type, contentType);
    }
    assert.equal((await createSigned(`${key}x`, "image/png")).status, 400);
    assert.equal((await send(backend(), "POST", `${RESUMABLE}/sign`, tus({}, { "upload-length": "3" }))).status, 400);
  });

  test("of 30 MB in chunks of 6 MiB arrives whole, sent by another client", async () => {
    const key = newKey();
    const bytes = Buffer.alloc(30_000_000, "imagen");
    await new Promise((resolve, reject) => {
      new Upload(bytes, {
        endpoint: `${backend().url}${RESUMABLE}`,
        chunkSize: 6 * 1024 * 1024,
        headers: as.user(backend(), alice),
        metadata: { bucketName: BUCKET, objectName: key, contentType: "image/png" },
        onSuccess: resolve,
        onError: reject,
      }).start();
    });
    const response = await fetch(`${backend().url}${objectUrl(key)}`, { headers: as.user(backend(), alice) });
    assert.ok(bytes.equals(Buffer.from(await response.arrayBuffer())));
  });
});

describe("a resumable upload that has expired", () => {
  test("answers 410", async () => {
    const backend = await startEmbedded({ databaseUrl: "", resumableExpiryMs: 1 });
    try {
      const service = client(backend, as.service(backend));
      const url = (await service.create("expired.png", 3)).headers.get("location");
      const head = await service.head(url);
      assert.equal(head.status, 410);
    } finally {
      await backend.close();
    }
  });
});
