// Storage's answers are the real server's, also where @supabase/lite's own are not.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { before, describe, test } from "node:test";
import { createClient } from "@supabase/supabase-js";
import { signJwt } from "../../supabase/keys.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { as, assertStorageError, BUCKET, objectUrl, onEveryDatabase, put, send, sendJson } from "./helpers.mjs";

onEveryDatabase("an object", (backend) => {
  let service;
  before(() => {
    service = as.service(backend());
  });
  const write = (method, target, headers = {}, body = "bytes") =>
    send(backend(), method, target, { ...service, "content-type": "image/png", ...headers }, body);
  const key = "2026-05-11/it's (a) test, +1 & more=$2;@:!*-1.png";

  test("is put whether it is new or not, and named decoded", async () => {
    for (let time = 0; time < 2; time += 1) {
      const answer = await write("PUT", objectUrl(key));
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json.Key, `${BUCKET}/${key}`);
      assert.match(answer.json.Id, /^[0-9a-f-]{36}$/);
    }
  });

  test("has metadata that SQL can look into", async () => {
    await put(backend(), "described.png", service, "four");
    const text = "select jsonb_typeof(metadata) type, metadata->>'size' size from storage.objects where name = $1";
    assert.deepEqual(await backend().sql(text, ["described.png"]), [{ type: "object", size: "4" }]);
  });

  test("has one name, whatever of its URL is escaped", async () => {
    await put(backend(), key, service, "one");
    const raw = await send(backend(), "GET", `/storage/v1/object/${BUCKET}/${encodeURI(key)}`, service);
    assert.equal(raw.text, "one");
  });

  test("is not posted twice without x-upsert", async () => {
    await put(backend(), "posted.png", service);
    assertStorageError(await write("POST", objectUrl("posted.png")), "409", "KeyAlreadyExists");
    assert.equal((await write("POST", objectUrl("posted.png"), { "x-upsert": "true" })).status, 200);
  });

  test("is put by many at once", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => write("PUT", objectUrl("raced.png"))));
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array(10).fill(200),
    );
  });

  for (const name of ["a%b.png", "a#b.png", "a\\b.png", "ü.png"]) {
    test(`cannot be called ${name}`, async () => {
      assertStorageError(await write("PUT", objectUrl(name)), "400", "InvalidKey");
    });
  }

  for (const name of ["a/./b.png", "a/../b.png", "%2E%2e/b.png", "..%2Fb.png", "a/.."]) {
    test(`cannot be called ${name}, as it stands in the request`, async () => {
      // fetch would resolve the dots before it sends them.
      const path = `/storage/v1/object/${BUCKET}/${name}`;
      const request = http.request(backend().url, { method: "PUT", path, headers: service });
      const answered = once(request, "response");
      request.end("bytes");
      const [response] = await answered;
      const json = JSON.parse(Buffer.concat(await response.toArray()));
      assertStorageError({ status: response.statusCode, json }, "400", "InvalidKey");
    });
  }

  test("needs its bucket, an allowed type and a size within the limit", async () => {
    assertStorageError(await write("PUT", "/storage/v1/object/nowhere/a.png"), "404", "NoSuchBucket");
    assertStorageError(
      await write("PUT", objectUrl("a.txt"), { "content-type": "text/plain" }),
      "415",
      "InvalidMimeType",
    );
    const limit = 100 * 1024 * 1024;
    assertStorageError(await write("PUT", objectUrl("a.png"), {}, new Uint8Array(limit + 1)), "413", "EntityTooLarge");
  });

  test("whose type is nearly an allowed one is refused: types are compared as they stand", async () => {
    for (const type of ["IMAGE/PNG", "image/png; charset=utf-8", "image/jpg"]) {
      assertStorageError(await write("PUT", objectUrl("a.png"), { "content-type": type }), "415", "InvalidMimeType");
    }
  });

  test("without a type is of application/octet-stream, and nobody looks into it", async () => {
    await backend().sql("insert into storage.buckets (id, name, public) values ('any', 'any', false)");
    const put = await send(backend(), "PUT", "/storage/v1/object/any/a.png", service, new Uint8Array(3));
    assert.equal(put.status, 200, put.text);
    const { json } = await send(backend(), "GET", "/storage/v1/object/info/any/a.png", service);
    assert.deepEqual([json.content_type, json.cache_control], ["application/octet-stream", "no-cache"]);
  });

  test("is put over another whatever a condition or a checksum says", async () => {
    await put(backend(), "conditional.png", service, "old");
    const headers = { "if-none-match": "*", "content-md5": "AAAA", "x-amz-checksum-sha256": "AAAA" };
    assert.equal((await write("PUT", objectUrl("conditional.png"), headers, "new")).status, 200);
    assert.equal((await send(backend(), "GET", objectUrl("conditional.png"), service)).text, "new");
  });

  test("over the limit is stored when it does not say how long it is", async () => {
    await backend().sql(
      "insert into storage.buckets (id, name, public, file_size_limit) values ('few', 'few', false, 5)",
    );
    const target = "/storage/v1/object/few/a.png";
    assertStorageError(await write("PUT", target, {}, "0123456789"), "413", "EntityTooLarge");
    const body = new Blob(["0123456789"]).stream();
    const headers = { ...service, "content-type": "image/png" };
    const chunked = await fetch(`${backend().url}${target}`, { method: "PUT", headers, body, duplex: "half" });
    assert.equal(chunked.status, 200);
    await chunked.text();
    const { json } = await send(backend(), "GET", "/storage/v1/object/info/few/a.png", service);
    assert.equal(json.size, 10);
  });

  test("of an illegal name is refused before its bytes are sent", async () => {
    const headers = { ...service, "content-type": "image/png", "content-length": "1000000" };
    const request = http.request(`${backend().url}${objectUrl("ü.png")}`, { method: "PUT", headers });
    const answered = once(request, "response");
    request.flushHeaders();
    const [response] = await answered;
    assert.equal(response.statusCode, 400);
    request.on("error", () => {});
    request.destroy();
  });

  test("is refused to a token that is bad or expired", async () => {
    const expired = signJwt({ role: "service_role", exp: 1 }, backend().jwtSecret);
    const forged = signJwt({ role: "service_role", exp: 9e9 }, "another secret");
    for (const token of ["no-jwt", expired, forged]) {
      const answer = await write("PUT", objectUrl("a.png"), {
        apikey: backend().anonKey,
        authorization: `Bearer ${token}`,
      });
      assertStorageError(answer, "403", "AccessDenied");
    }
  });

  test("a bad or expired token finds no bucket where it reads, and none at all is no request", async () => {
    await put(backend(), "there.png", service);
    const expired = signJwt({ role: "service_role", exp: 1 }, backend().jwtSecret);
    for (const token of ["no-jwt", expired]) {
      const headers = { apikey: backend().anonKey, authorization: `Bearer ${token}` };
      for (const route of ["object", "object/info"]) {
        assertStorageError(await send(backend(), "GET", objectUrl("there.png", route), headers), "404", "NoSuchBucket");
      }
      const signing = await sendJson(backend(), "POST", objectUrl("there.png", "object/sign"), headers, {
        expiresIn: 9,
      });
      assertStorageError(signing, "403", "AccessDenied");
    }
    for (const route of ["object", "object/info"]) {
      assertStorageError(await send(backend(), "GET", objectUrl("there.png", route)), "400", "InvalidRequest");
    }
  });

  test("a role that there is not is an error of the database", async () => {
    const token = signJwt({ role: "nobody", exp: 9e9 }, backend().jwtSecret);
    const headers = { apikey: backend().anonKey, authorization: `Bearer ${token}` };
    const answer = await send(backend(), "GET", objectUrl("there.png", "object/info"), headers);
    assert.deepEqual([answer.status, answer.json.code], [500, "DatabaseError"]);
  });

  test("signing tells a missing bucket from an illegal name, and asks for a whole second at least", async () => {
    const sign = (target, body = { expiresIn: 60 }) => sendJson(backend(), "POST", target, service, body);
    assertStorageError(await sign("/storage/v1/object/sign/nowhere/a.png"), "404", "NoSuchKey");
    assertStorageError(await sign(objectUrl("ü.png", "object/sign")), "400", "InvalidKey");
    const many = await sign("/storage/v1/object/sign/nowhere", { expiresIn: 60, paths: ["a.png", "b.png"] });
    assert.equal(many.status, 200, many.text);
    assert.deepEqual(
      many.json.map(({ path, signedURL, error }) => [path, signedURL, typeof error]),
      ["a.png", "b.png"].map((path) => [path, null, "string"]),
    );
    await put(backend(), "brief.png", service);
    for (const expiresIn of [0, 1.5, -1]) {
      const answer = await sign(objectUrl("brief.png", "object/sign"), { expiresIn });
      assertStorageError(answer, "400", "InvalidRequest");
    }
    const upload = await send(backend(), "POST", "/storage/v1/object/upload/sign/nowhere/a.png", service);
    assertStorageError(upload, "404", "InvalidRequest");
    assert.equal(upload.json.message, "The related resource does not exist");
  });

  test("an upload token with upsert is taken again and again", async () => {
    const target = objectUrl("again.png", "object/upload/sign");
    const { json } = await send(backend(), "POST", target, { ...service, "x-upsert": "true" });
    for (const bytes of ["one", "two"]) {
      const headers = { "content-type": "image/png" };
      assert.equal((await send(backend(), "PUT", `/storage/v1${json.url}`, headers, bytes)).status, 200);
    }
    assert.equal((await send(backend(), "GET", objectUrl("again.png"), service)).text, "two");
  });

  test("a signed URL answers Expires, no Cache-Control, and the part that is asked for", async () => {
    const headers = { ...service, "content-type": "image/png", "cache-control": "max-age=3600" };
    await send(backend(), "PUT", objectUrl("parts.png"), headers, "0123456789");
    const target = objectUrl("parts.png", "object/sign");
    const { json } = await sendJson(backend(), "POST", target, service, { expiresIn: 60 });
    const get = (range) => send(backend(), "GET", `/storage/v1${json.signedURL}`, range === undefined ? {} : { range });
    const whole = await get();
    assert.deepEqual([whole.status, whole.text, whole.headers.get("cache-control")], [200, "0123456789", null]);
    assert.ok(Date.parse(whole.headers.get("expires")) > Date.now());
    for (const [range, text, said] of [
      ["bytes=2-4", "234", "bytes 2-4/10"],
      ["bytes=8-99", "89", "bytes 8-9/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
    ]) {
      const part = await get(range);
      assert.deepEqual([part.status, part.text, part.headers.get("content-range")], [206, text, said]);
    }
    assert.equal((await get("bytes=10-")).status, 416);
    const direct = await send(backend(), "GET", objectUrl("parts.png"), { ...service, range: "bytes=2-4" });
    assert.deepEqual([direct.status, direct.text], [206, "234"]);
  });

  test("another user's is not deleted by name", async () => {
    const user = await backend().createUser();
    await put(backend(), "not yours.png", service);
    const deletion = await send(backend(), "DELETE", objectUrl("not yours.png"), as.user(backend(), user));
    assertStorageError(deletion, "403", "AccessDenied");
    assert.equal((await send(backend(), "GET", objectUrl("not yours.png"), service)).status, 200);
  });

  test("another user's is left out of a list that is deleted", async () => {
    const user = await backend().createUser();
    const own = `${user.id}/own.png`;
    await put(backend(), own, as.user(backend(), user));
    const target = `/storage/v1/object/${BUCKET}`;
    const prefixes = ["not yours.png", own, `${user.id}/missing.png`];
    const { status, json } = await sendJson(backend(), "DELETE", target, as.user(backend(), user), { prefixes });
    assert.deepEqual([status, json.map(({ name }) => name)], [200, [own]]);
    assert.equal((await send(backend(), "GET", objectUrl("not yours.png"), service)).status, 200);
  });

  test("is signed with a thousand others, and no more", async () => {
    const sign = (count) =>
      sendJson(backend(), "POST", `/storage/v1/object/sign/${BUCKET}`, service, {
        expiresIn: 60,
        paths: Array(count).fill("not yours.png"),
      });
    assert.equal((await sign(1000)).json.length, 1000);
    for (const count of [0, 1001]) assertStorageError(await sign(count), "400", "InvalidRequest");
  });

  test("the time of its last change is the server's, whatever is written there, and reading is no change", async () => {
    await put(backend(), "dated.png", service);
    const times = "select created_at::text, updated_at::text from storage.objects where name = 'dated.png'";
    const [before] = await backend().sql(times);
    await send(backend(), "GET", objectUrl("dated.png"), service);
    assert.deepEqual(await backend().sql(times), [before]);
    await backend().sql("update storage.objects set updated_at = '2001-01-01' where name = 'dated.png'");
    const [{ updated_at: after }] = await backend().sql(times);
    assert.ok(new Date(after) >= new Date(before.updated_at), after);
  });

  test("is not there when its PUT was cut", async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(1000));
      },
    });
    const cut = new AbortController();
    const sending = fetch(`${backend().url}${objectUrl("cut.png")}`, {
      method: "PUT",
      headers: { ...service, "content-type": "image/png" },
      body,
      duplex: "half",
      signal: cut.signal,
    });
    cut.abort();
    await assert.rejects(sending);
    assertStorageError(await send(backend(), "GET", objectUrl("cut.png", "object/info"), service), "404", "NoSuchKey");
    await put(backend(), "cut.png", service);
  });

  test("tells its size, type, version and cache control", async () => {
    await write("PUT", objectUrl("info.png"), { "cache-control": "max-age=60" }, "12345");
    const { status, json } = await send(backend(), "GET", objectUrl("info.png", "object/info"), service);
    assert.equal(status, 200);
    const { size, content_type, cache_control, bucket_id, name } = json;
    assert.deepEqual(
      { size, content_type, cache_control, bucket_id, name },
      { size: 5, content_type: "image/png", cache_control: "max-age=60", bucket_id: BUCKET, name: "info.png" },
    );
    assert.match(json.version, /^[0-9a-f-]{36}$/);
    assert.ok(Date.parse(json.last_modified) > 0 && Date.parse(json.created_at) > 0);
  });

  test("is signed by a URL relative to /storage/v1 and not encoded", async () => {
    await put(backend(), "to sign.png", service, "signed");
    const answer = await sendJson(backend(), "POST", objectUrl("to sign.png", "object/sign"), service, {
      expiresIn: 60,
    });
    assert.match(answer.json.signedURL, new RegExp(`^/object/sign/${BUCKET}/to sign\\.png\\?token=`));
    const read = await send(backend(), "GET", `/storage/v1${encodeURI(answer.json.signedURL)}`);
    assert.equal(read.text, "signed");
    assert.equal(read.headers.get("content-type"), "image/png");
  });

  test("is saved by a signed URL that says download, under the name it gives", async () => {
    await put(backend(), "to save.png", service, "saved");
    const { json } = await sendJson(backend(), "POST", objectUrl("to save.png", "object/sign"), service, {
      expiresIn: 60,
    });
    const target = `/storage/v1${encodeURI(json.signedURL)}`;
    for (const [query, disposition] of [
      ["", null],
      ["&download=", "attachment;"],
      ["&download=a%20%26%20b.png", "attachment; filename=a%20%26%20b.png; filename*=UTF-8''a%20%26%20b.png;"],
    ]) {
      const read = await send(backend(), "GET", `${target}${query}`);
      assert.deepEqual([read.text, read.headers.get("content-disposition")], ["saved", disposition], query);
    }
    const refused = await send(backend(), "GET", `${objectUrl("to save.png", "object/sign")}?token=bad&download=a.png`);
    assert.equal(refused.headers.get("content-disposition"), null);
  });

  test("is not read by a token that is bad or for another", async () => {
    await put(backend(), "signed.png", service);
    const { json } = await sendJson(backend(), "POST", objectUrl("signed.png", "object/sign"), service, {
      expiresIn: 60,
    });
    const token = new URLSearchParams(json.signedURL.split("?")[1]).get("token");
    const other = `${objectUrl("posted.png", "object/sign")}?token=`;
    assert.equal((await send(backend(), "GET", `${other}bad`)).status, 400);
    assertStorageError(await send(backend(), "GET", `${other}${token}`), "400", "InvalidSignature");
  });

  test("is signed with others; one that is missing fails alone", async () => {
    await put(backend(), "batch one.png", service);
    const paths = ["batch one.png", "missing.png"];
    const { status, json } = await sendJson(backend(), "POST", `/storage/v1/object/sign/${BUCKET}`, service, {
      expiresIn: 60,
      paths,
    });
    assert.equal(status, 200);
    assert.deepEqual(
      json.map(({ path, error, signedURL }) => [path, error === null, signedURL !== null]),
      [
        ["batch one.png", true, true],
        ["missing.png", false, false],
      ],
    );
    assert.equal((await send(backend(), "GET", `/storage/v1${encodeURI(json[0].signedURL)}`)).text, "bytes");
  });

  test("is signed by itself under a name that is not decoded where it holds , ; or ?", async () => {
    for (const [mark, escaped] of [
      [",", "%2C"],
      [";", "%3B"],
      ["?", "%3F"],
    ]) {
      await put(backend(), `a${mark}b.png`, service, "marked");
      const sign = (target, body) => sendJson(backend(), "POST", target, service, { expiresIn: 60, ...body });
      const single = await sign(objectUrl(`a${mark}b.png`, "object/sign"));
      assert.ok(single.json.signedURL.startsWith(`/object/sign/${BUCKET}/a${escaped}b.png?token=`), single.text);
      const dead = await send(backend(), "GET", `/storage/v1${single.json.signedURL}`);
      assertStorageError(dead, "400", "InvalidSignature");

      const batch = await sign(`/storage/v1/object/sign/${BUCKET}`, { paths: [`a${mark}b.png`] });
      const [{ signedURL }] = batch.json;
      assert.ok(signedURL.startsWith(`/object/sign/${BUCKET}/a${mark}b.png?token=`), signedURL);
      const token = signedURL.slice(signedURL.lastIndexOf("?token="));
      const read = await send(backend(), "GET", `${objectUrl(`a${mark}b.png`, "object/sign")}${token}`);
      assert.equal(read.text, "marked");
    }
  });

  test("is signed by itself under its name where that holds , or ; unescaped", async () => {
    await put(backend(), "c,d;e.png", service, "raw");
    const target = `/storage/v1/object/sign/${BUCKET}/c,d;e.png`;
    const { json } = await sendJson(backend(), "POST", target, service, { expiresIn: 60 });
    assert.equal((await send(backend(), "GET", `/storage/v1${json.signedURL}`)).text, "raw");
  });

  test("is put with an upload token once, with no other key", async () => {
    const target = objectUrl("ticket.png", "object/upload/sign");
    const { json } = await send(backend(), "POST", target, service);
    assert.ok(json.token && json.url.startsWith(`/object/upload/sign/${BUCKET}/ticket.png?token=`));
    const upload = () => send(backend(), "PUT", `/storage/v1${json.url}`, { "content-type": "image/png" }, "bytes");
    const first = await upload();
    assert.deepEqual(first.json, { Key: `${BUCKET}/ticket.png` });
    assertStorageError(await upload(), "409", "KeyAlreadyExists");
    assertStorageError(await send(backend(), "POST", target, service), "409", "KeyAlreadyExists");
  });

  test("is uploaded, read and removed by supabase-js", async () => {
    const bucket = createClient(backend().url, backend().serviceKey).storage.from(BUCKET);
    const blob = new Blob(["from a form"], { type: "image/webp" });
    const { error, data } = await bucket.upload("by supabase-js.webp", blob, { cacheControl: "60" });
    assert.deepEqual([error, data?.path], [null, "by supabase-js.webp"]);
    const info = await bucket.info("by supabase-js.webp");
    assert.deepEqual([info.data.contentType, info.data.cacheControl], ["image/webp", "max-age=60"]);
    assert.equal(await (await bucket.download("by supabase-js.webp")).data.text(), "from a form");
    const signed = await bucket.createSignedUrls(["by supabase-js.webp"], 60);
    assert.equal(await (await fetch(signed.data[0].signedUrl)).text(), "from a form");
    assert.equal((await bucket.remove(["by supabase-js.webp"])).data.length, 1);
  });

  test("is copied, over another with x-upsert only", async () => {
    await put(backend(), "from.png", service, "copied");
    const copy = (headers = {}) =>
      sendJson(
        backend(),
        "POST",
        "/storage/v1/object/copy",
        { ...service, ...headers },
        {
          bucketId: BUCKET,
          sourceKey: "from.png",
          destinationKey: "to/copy.png",
        },
      );
    const first = await copy();
    assert.equal(first.json.Key, `${BUCKET}/to/copy.png`);
    assertStorageError(await copy(), "409", "KeyAlreadyExists");
    assert.equal((await copy({ "x-upsert": "true" })).status, 200);
    const read = await send(backend(), "GET", objectUrl("to/copy.png"), service);
    assert.deepEqual([read.text, read.headers.get("content-type")], ["copied", "image/png"]);
  });

  test("is deleted once", async () => {
    await put(backend(), "deleted.png", service);
    assert.equal((await send(backend(), "DELETE", objectUrl("deleted.png"), service)).status, 200);
    assertStorageError(await send(backend(), "DELETE", objectUrl("deleted.png"), service), "404", "NoSuchKey");
  });
});

describe("an embedded backend with @supabase/lite's signed URLs", () => {
  test("answers them with the /storage/v1 prefix", async () => {
    const backend = await startEmbedded({ databaseUrl: "", signedUrls: "lite" });
    try {
      await put(backend, "a.png", as.service(backend));
      const target = objectUrl("a.png", "object/sign");
      const { json } = await sendJson(backend, "POST", target, as.service(backend), { expiresIn: 60 });
      assert.match(json.signedURL, /^\/storage\/v1\/object\/sign\//);
      assert.equal((await send(backend, "GET", json.signedURL)).text, "bytes");
    } finally {
      await backend.close();
    }
  });
});
