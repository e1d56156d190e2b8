// Sinks and relays in the stores of page frameworks, which wrap what they hold in proxies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay, createSink } from "imagen-cloud";
import { wrap } from "../support/proxies.mjs";
import { aRequest, OWNER, PATH, POST, rejection, SIGN, scripted, sinkFor } from "./helpers.mjs";

const signed = { body: { signedURL: `/object/sign/imagen-generated/${PATH}?token=t` } };
const manySigned = { body: [{ path: PATH, error: null, signedURL: signed.body.signedURL }] };

for (const [name, wrapped] of Object.entries(wrap)) {
  test(`a sink works through ${name}`, async (t) => {
    const server = await scripted(t, {
      [POST]: [({ body }) => ({ status: 201, body: [JSON.parse(body)].flat() })],
      [SIGN]: [({ target }) => (target.endsWith("imagen-generated") ? manySigned : signed)],
    });
    const sink = wrapped(await sinkFor(t, server));
    assert.equal((await sink.sync(aRequest())).storagePath, PATH);
    const [{ ok }] = await sink.syncMany([aRequest()]);
    assert.equal(ok, true);
    assert.match(await sink.signedUrl(PATH), /token=t/);
    assert.match((await sink.signedUrls([PATH]))[0], /token=t/);
    sink.free();
    sink.free();
    await rejection(() => sink.sync(aRequest()), { code: "invalid_config" });
  });

  test(`a request that ${name} holds is read`, async (t) => {
    const server = await scripted(t);
    const sink = await sinkFor(t, server);
    const request = wrapped(aRequest({ sidecar: { nested: { deep: [1, { deeper: "x" }] } } }));
    assert.equal((await sink.sync(request)).storagePath, PATH);
    const [{ body }] = server.requests.filter(({ method }) => method === "POST");
    assert.deepEqual(JSON.parse(body).sidecar, { nested: { deep: [1, { deeper: "x" }] } });
  });

  test(`a relay works through ${name}`, async (t) => {
    const result = { storagePath: PATH, imageId: OWNER };
    const server = await scripted(t, { "POST /api/sync": [{ status: 201, body: result }] });
    const relay = wrapped(await createRelay({ url: server.url, accessToken: () => "a.b.c" }));
    assert.deepEqual(await relay.sync(aRequest({ imageId: OWNER })), result);
    relay.free();
    await rejection(() => relay.sync(aRequest()), { code: "invalid_config" });
  });
}

test("a handle's methods need no handle", async (t) => {
  const server = await scripted(t);
  const { sync, free } = await createSink({ url: server.url, apiKey: "test-key", ownerUserId: OWNER });
  assert.equal((await sync(aRequest())).storagePath, PATH);
  free();
});
