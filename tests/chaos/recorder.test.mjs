// The recording proxy itself: an overlap that goes unseen would prove nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startRecorder } from "../support/recorder.mjs";
import { startScripted } from "../support/scripted.mjs";

const OBJECT = "/storage/v1/object/imagen-generated/u/x-1.png";
const ROW = { id: "5f0c2b9e-2222-4333-8444-555566667777", storage_path: "u/x-1.png" };

async function behind(t) {
  const server = await startScripted([{ body: { Key: "k" } }]);
  const recorder = await startRecorder({ target: server.url });
  t.after(async () => {
    await recorder.close();
    await server.close();
  });
  const ask = async (method, path, body) => (await fetch(recorder.url + path, { method, body })).text();
  return { server, recorder, ask };
}

test("two requests for one image at the same time are seen, one after the other is no overlap", async (t) => {
  const { recorder, ask } = await behind(t);
  await ask("PUT", OBJECT, "bytes");
  await ask("POST", "/rest/v1/images", JSON.stringify(ROW));
  assert.deepEqual(recorder.overlaps(), []);

  for (const [method, path, body] of [
    ["PUT", OBJECT, "bytes"],
    ["POST", "/rest/v1/images", JSON.stringify([ROW])],
    ["GET", `/rest/v1/images?id=eq.${ROW.id}`],
  ]) {
    const before = recorder.overlaps().length;
    const hold = recorder.hold({ method: "PUT", at: "request" });
    const held = ask("PUT", OBJECT, "bytes");
    await hold.reached;
    await ask(method, path, body);
    hold.release();
    await held;
    assert.equal(recorder.overlaps().length, before + 1, method);
  }
});

test("a request is held before the server sees it, or after it has done it", async (t) => {
  const { server, recorder, ask } = await behind(t);
  for (const [at, seen] of [
    ["request", 0],
    ["answer", 2],
  ]) {
    const hold = recorder.hold({ method: "PUT", at });
    const held = ask("PUT", OBJECT, "bytes");
    await hold.reached;
    assert.equal(server.requests.length, seen);
    hold.release();
    assert.match(await held, /Key/);
  }
});

test("a resumable upload's image is known by its creation, whatever its id looks like", async (t) => {
  const server = await startScripted([
    { status: 201, headers: { location: "https://other/upload/resumable/an-id?x=1" } },
  ]);
  const recorder = await startRecorder({ target: server.url });
  t.after(async () => {
    await recorder.close();
    await server.close();
  });
  const resumable = `${recorder.url}/storage/v1/upload/resumable`;
  const metadata = `bucketName ${btoa("b")},objectName ${btoa("u/x-1.png")}`;
  await fetch(resumable, { method: "POST", headers: { "upload-metadata": metadata } });
  await fetch(`${resumable}/an-id`, { method: "PATCH", body: "bytes" });
  await fetch(`${resumable}/another`, { method: "PATCH", body: "bytes" });
  assert.deepEqual(
    recorder.requests.map(({ image }) => image),
    [undefined, "u/x-1.png", undefined],
  );
});

test("offline, every connection is lost and the server sees nothing", async (t) => {
  const { server, recorder, ask } = await behind(t);
  recorder.offline(true);
  await assert.rejects(ask("PUT", OBJECT, "bytes"));
  assert.equal(server.requests.length, 0);
  recorder.offline(false);
  assert.match(await ask("PUT", OBJECT, "bytes"), /Key/);
});
