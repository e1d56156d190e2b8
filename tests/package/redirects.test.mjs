// A redirect is no success, wherever it leads: the bytes and the row would be said to have arrived, and have not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay } from "imagen-cloud";
import fetch2 from "node-fetch";
import { aRequest, duplicate, GET, PATH, POST, PUT, rejection, SIGN, scripted, sentTo, sinkFor } from "./helpers.mjs";

const TUS = "POST /storage/v1/upload/resumable";
const PATCH = "PATCH /storage/v1/upload/resumable/";
const resumable = { resumableFrom: 1, chunkSize: 4096 };

/** Where the redirects lead: to a server that says yes to everything. */
const welcoming = (t) => scripted(t, () => ({ body: { Key: "b/x", signedURL: "/object/sign/x?token=t" } }));

const sync = (sink) => sink.sync(aRequest());
const sign = (sink) => sink.signedUrl(PATH, 60);
const CALLS = {
  "an upload": { route: PUT, stage: "upload", call: sync },
  "the beginning of an upload in pieces": { route: TUS, stage: "upload", call: sync, options: resumable },
  "a piece": {
    route: PATCH,
    stage: "upload",
    call: sync,
    options: resumable,
    script: (url) => ({
      [TUS]: [{ status: 201, headers: { location: `${url}/storage/v1/upload/resumable/x`, "upload-offset": "4096" } }],
    }),
  },
  "an insert": { route: POST, stage: "insert", call: sync },
  "a read-back": { route: GET, stage: "insert", call: sync, script: () => ({ [POST]: [duplicate] }) },
  "a signing": { route: SIGN, stage: "sign", call: sign },
};
const FETCHES = {
  "the host's fetch": undefined,
  "a fetch that gives the redirect itself": (url, init) => fetch(url, { ...init, redirect: "manual" }),
  "node-fetch 2": (url, init) => fetch2(url, init),
};

for (const [what, { route, stage, call, options, script }] of Object.entries(CALLS)) {
  for (const [by, fetch] of Object.entries(FETCHES)) {
    test(`a redirect that answers ${what} by ${by} is no success, and final`, async (t) => {
      const elsewhere = await welcoming(t);
      for (const status of [301, 302, 303, 307, 308]) {
        const server = await scripted(t);
        server.play(
          routes({ ...script?.(server.url), [route]: [{ status, headers: { location: `${elsewhere.url}/x` } }] }),
        );
        const sink = await sinkFor(t, server, { ...options, fetch });
        const error = await rejection(() => call(sink), { code: "bad_response", stage, retryable: false });
        assert.match(error.message, /a redirect, which is not followed\. Is `url` the project's own address\?$/);
        assert.equal(sentTo(server, route).length, 1, "not tried again");
      }
      assert.equal(elsewhere.requests.length, 0, "nothing arrives there");
    });
  }
}

/** Everything else goes well. */
function routes(script) {
  const good = {
    [PUT]: { body: { Key: "b/x" } },
    [POST]: ({ body }) => ({ status: 201, body: [JSON.parse(body)] }),
  };
  const all = Object.entries({
    ...Object.fromEntries(Object.entries(good).map(([key, one]) => [key, [one]])),
    ...script,
  });
  const longest = all.toSorted(([one], [other]) => other.length - one.length);
  return (request) => {
    const [, [reply]] = longest.find(([route]) => `${request.method} ${request.target}`.startsWith(route)) ?? [
      undefined,
      [],
    ];
    return typeof reply === "function" ? reply(request) : reply;
  };
}

test("a caller's fetch that follows redirects whatever it is told makes no success of one", async (t) => {
  const follow = (url, init) => fetch(url, { ...init, redirect: "follow" });
  for (const what of ["an insert", "a read-back", "a signing"]) {
    const { route, stage, call, script } = CALLS[what];
    const elsewhere = await welcoming(t);
    const server = await scripted(t);
    server.play(
      routes({ ...script?.(server.url), [route]: [{ status: 307, headers: { location: `${elsewhere.url}/x` } }] }),
    );
    const sink = await sinkFor(t, server, { fetch: follow });
    await rejection(() => call(sink), { code: "bad_response", stage, retryable: false });
  }
});

test("a redirect of the Worker's is no success, and final", async (t) => {
  for (const status of [301, 302, 303, 307, 308]) {
    const elsewhere = await scripted(t, () => ({ body: { storagePath: PATH } }));
    const server = await scripted(t, () => ({ status, headers: { location: `${elsewhere.url}/x` } }));
    const relay = await createRelay({ url: server.url, accessToken: () => "a.b.c", initialBackoffMs: 1 });
    await rejection(() => relay.sync(aRequest()), { code: "bad_response", retryable: false });
    relay.free();
    assert.equal(server.requests.length, 1);
    assert.equal(elsewhere.requests.length, 0);
  }
});

test("an address with another way of writing it is no redirect", async (t) => {
  const server = await scripted(t);
  const url = server.url.replace("127.0.0.1", "LOCALHOST").replace("http:", "HTTP:");
  const sink = await sinkFor(t, { url });
  await sink.sync(aRequest({ slug: "light house,with (all) $of=it;" }));
});
