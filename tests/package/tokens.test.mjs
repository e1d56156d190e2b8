// The user's token: asked for at every attempt, and once more after the server refused it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aRequest,
  inserted,
  OWNER,
  PATH,
  POST,
  PUT,
  rejection,
  SIGN,
  scripted,
  sentTo,
  sinkFor,
  storageError,
  uploaded,
} from "./helpers.mjs";

const signed = { body: { signedURL: `/object/sign/imagen-generated/${PATH}?token=t` } };
const AT_STORAGE = {
  "a bad signature": storageError("403", "Unauthorized", "signature verification failed", "AccessDenied"),
  "an expired token": storageError("403", "Unauthorized", '"exp" claim timestamp check failed', "AccessDenied"),
  "no JWT": storageError("403", "Unauthorized", "Invalid Compact JWS", "AccessDenied"),
  "an expired token, by an older server": storageError("403", "Unauthorized", '"exp" claim timestamp check failed'),
  "a 401": { status: 401, body: { message: "Unauthorized" } },
};
const AT_POSTGREST = {
  PGRST301: { status: 401, body: { code: "PGRST301", message: "JWT expired", details: null, hint: null } },
  PGRST303: { status: 401, body: { code: "PGRST303", message: "JWT expired", details: null, hint: null } },
};
const REFUSED = [
  ["upload", PUT, AT_STORAGE, uploaded, (sink) => sink.sync(aRequest())],
  ["insert", POST, AT_POSTGREST, inserted, (sink) => sink.sync(aRequest())],
  ["sign", SIGN, AT_STORAGE, signed, (sink) => sink.signedUrl(PATH, 60)],
];

/** `token-1`, `token-2`, …: which one was sent says when it was asked for. */
function counting() {
  let count = 0;
  return () => {
    count += 1;
    return `token-${count}`;
  };
}
const bearers = (requests) => requests.map(({ headers }) => headers.authorization);

test("the token is asked for at every attempt and sent beside the key", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503 }, uploaded] });
  const sink = await sinkFor(t, server, { accessToken: counting() });
  await sink.sync(aRequest());
  assert.deepEqual(bearers(server.requests), ["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.apikey),
    ["test-key", "test-key", "test-key"],
  );
});

test("a promise of a token is waited for", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server, { accessToken: async () => "later" });
  await sink.sync(aRequest());
  assert.deepEqual(bearers(server.requests), ["Bearer later", "Bearer later"]);
});

for (const [stage, route, refusals, well, call] of REFUSED) {
  for (const [name, refusal] of Object.entries(refusals)) {
    test(`${stage} refused for ${name} is sent once more with a new token, without retries too`, async (t) => {
      const server = await scripted(t, { [route]: [refusal, well] });
      const sink = await sinkFor(t, server, { accessToken: counting(), maxRetries: 0 });
      await call(sink);
      const sent = bearers(sentTo(server, route));
      assert.equal(sent.length, 2);
      assert.notEqual(sent[0], sent[1]);
    });

    test(`${stage} refused for ${name} again is unauthorized`, async (t) => {
      const server = await scripted(t, { [route]: [refusal] });
      const sink = await sinkFor(t, server, { accessToken: counting(), maxRetries: 5 });
      await rejection(() => call(sink), { code: "unauthorized", stage, attempts: 2 });
      assert.equal(sentTo(server, route).length, 2);
    });

    test(`${stage} refused for ${name} is final where there is no accessToken`, async (t) => {
      const server = await scripted(t, { [route]: [refusal] });
      const sink = await sinkFor(t, server);
      await rejection(() => call(sink), { code: "unauthorized", stage, attempts: 1, retryable: false });
      assert.equal(sentTo(server, route).length, 1);
    });
  }
}

const EARLY = [
  [POST, { status: 401, body: { code: "PGRST303", message: "JWT issued at future", details: null, hint: null } }],
  [POST, { status: 401, body: { code: "PGRST301", message: "JWT issued at future", details: null, hint: null } }],
  [PUT, storageError("403", "Unauthorized", '"nbf" claim timestamp check failed', "AccessDenied")],
];

for (const [route, early] of EARLY) {
  for (const accessToken of [undefined, counting()]) {
    const name = `${route} refused for a token of the future, ${accessToken ? "with" : "without"} accessToken`;
    test(`${name}, is tried again after a wait`, async (t) => {
      const server = await scripted(t, { [route]: [early, early, route === PUT ? uploaded : inserted] });
      const sink = await sinkFor(t, server, { accessToken, maxRetries: 2 });
      const waits = [];
      await sink.sync(aRequest(), { onRetry: ({ code, waitMs }) => waits.push([code, waitMs >= 0]) });
      assert.deepEqual(waits, [
        ["unauthorized", true],
        ["unauthorized", true],
      ]);
      assert.equal(sentTo(server, route).length, 3);
    });

    test(`${name}, and again and again, is unauthorized, and may be right later`, async (t) => {
      const server = await scripted(t, { [route]: [early] });
      const sink = await sinkFor(t, server, { accessToken, maxRetries: 1 });
      await rejection(() => sink.sync(aRequest()), { code: "unauthorized", attempts: 2, retryable: true });
    });
  }
}

test("a refusal by a policy does not ask for another token", async (t) => {
  const policy = storageError("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied");
  const server = await scripted(t, { [PUT]: [policy] });
  const sink = await sinkFor(t, server, { accessToken: counting() });
  await rejection(() => sink.sync(aRequest()), { code: "forbidden" });
  assert.deepEqual(bearers(server.requests), ["Bearer token-1"]);
});

test("an accessToken that throws is token_unavailable, with what it threw, and nothing is sent", async (t) => {
  const thrown = new Error("signed out");
  const throwing = [
    () => {
      throw thrown;
    },
    () => Promise.reject(thrown),
  ];
  for (const accessToken of throwing) {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { accessToken, maxRetries: 0 });
    const error = await rejection(() => sink.sync(aRequest()), { code: "token_unavailable", stage: "upload" });
    assert.equal(error.cause, thrown);
    assert.equal(server.requests.length, 0);
  }
});

test("an accessToken that gives no token is token_unavailable, and nothing is sent", async (t) => {
  for (const value of [undefined, null, "", 42, {}, "two\nlines"]) {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { accessToken: () => value, maxRetries: 0 });
    await rejection(() => sink.sync(aRequest()), { code: "token_unavailable", stage: "upload" });
    assert.equal(server.requests.length, 0);
  }
});

test("an accessToken that throws before the insert keeps path and id", async (t) => {
  const server = await scripted(t);
  let calls = 0;
  const accessToken = () => {
    calls += 1;
    if (calls > 1) throw new Error("signed out");
    return "token";
  };
  const sink = await sinkFor(t, server, { accessToken, maxRetries: 0 });
  const error = await rejection(() => sink.sync(aRequest()), { code: "token_unavailable", stage: "insert" });
  assert.equal(error.storagePath, `${OWNER}/${PATH}`);
  assert.match(error.imageId, /^[0-9a-f-]{36}$/);
});

test("an accessToken that never answers is stopped by the signal", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server, { accessToken: () => new Promise(() => {}) });
  const controller = new AbortController();
  const call = rejection(() => sink.sync(aRequest(), { signal: controller.signal }), { code: "aborted" });
  controller.abort();
  await call;
  assert.equal(server.requests.length, 0);
});
