// No error holds a key, a token or a signed URL, whatever a server repeats of what it was sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createSink } from "imagen-cloud";
import { aRequest, PATH, POST, PUT, rejection, SIGN, scripted, sinkFor } from "./helpers.mjs";

const KEY = "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz";
const TOKEN =
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3ZDZmMmI4ZSIsInJvbGUiOiJhdXRoZW50aWNhdGVkIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
const URL_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ1cmwiOiJpbWFnZW4tZ2VuZXJhdGVkL3gifQ.c2lnbmF0dXJlLW9mLXRoZS11cmw";

/** Everything of an error that a logger might print. */
function printed(error) {
  const seen = [error.message, error.stack, String(error), JSON.stringify(error), inspect(error, { depth: 9 })];
  for (let cause = error; cause; cause = cause.cause) {
    const own = Object.getOwnPropertyNames(cause).map((name) => inspect(cause[name], { depth: 9, showHidden: true }));
    seen.push(String(cause), ...own);
  }
  return seen.join("\n");
}

function assertHides(error, ...secrets) {
  const text = printed(error);
  for (const secret of secrets) {
    for (let start = 0; start + 16 <= secret.length; start += 8) {
      const part = secret.slice(start, start + 16);
      assert.ok(!text.includes(part), `${part} must not be in ${error.message}`);
    }
  }
}

const echo = ({ headers }) => ({
  status: 400,
  body: { message: `${headers.apikey} or ${headers.authorization} is refused` },
});

const calls = {
  [PUT]: (sink) => sink.sync(aRequest()),
  [POST]: (sink) => sink.sync(aRequest()),
  [SIGN]: (sink) => sink.signedUrl(PATH, 60),
};

for (const [route, call] of Object.entries(calls)) {
  test(`a key and a token that ${route} repeats are not in the error`, async (t) => {
    const server = await scripted(t, { [route]: [echo] });
    const sink = await sinkFor(t, server, { apiKey: KEY, accessToken: () => TOKEN });
    const error = await rejection(() => call(sink));
    assertHides(error, KEY, TOKEN);
    assert.match(error.message, / is refused/, "the rest of the text stays");
  });
}

test("a token that the cut of a long text goes through is not there in part", async (t) => {
  const opaque = "Zm9yIHRlc3RzIG9ubHkgYW5kIG5vd2hlcmUgZWxzZSE7Pg";
  for (const before of [455, 470, 480, 490, 499]) {
    const server = await scripted(t, {
      [PUT]: [({ headers }) => ({ status: 400, body: `${"x".repeat(before)} ${headers.authorization}` })],
    });
    const sink = await sinkFor(t, server, { accessToken: () => opaque });
    assertHides(await rejection(() => sink.sync(aRequest())), opaque);
  }
});

test("an earlier token, refused and repeated by the server, is not in the error", async (t) => {
  const other = TOKEN.replace("c2lnbmF0", "b3RoZXIt");
  const given = [TOKEN, other];
  const server = await scripted(t, {
    [PUT]: [
      { status: 401, body: { message: "JWT expired" } },
      { status: 400, body: `was ${TOKEN}, is ${other}` },
    ],
  });
  const sink = await sinkFor(t, server, { accessToken: () => given.shift() ?? other, maxRetries: 0 });
  assertHides(await rejection(() => sink.sync(aRequest())), TOKEN, other);
});

const SIGNED_ANSWERS = {
  "in a field of another name": { signedUrl: `/object/sign/imagen-generated/${PATH}?token=${URL_TOKEN}` },
  "in a list": [{ signedURL: `/object/sign/imagen-generated/${PATH}?token=${URL_TOKEN}` }],
  "in half a JSON": `{"signedURL":"/object/sign/imagen-generated/${PATH}?token=${URL_TOKEN}`,
  "in HTML": `<a href="/storage/v1/object/sign/imagen-generated/${PATH}?token=${URL_TOKEN}&amp;x=1">here</a>`,
};

for (const [name, body] of Object.entries(SIGNED_ANSWERS)) {
  test(`a signed URL ${name} of a bad answer is not in the error`, async (t) => {
    const server = await scripted(t, { [SIGN]: [{ body }] });
    const sink = await sinkFor(t, server, { maxRetries: 0 });
    const error = await rejection(() => sink.signedUrl(PATH, 60), { code: "bad_response" });
    assertHides(error, URL_TOKEN);
  });
}

test("a signed URL in a refusal is not in the error", async (t) => {
  const server = await scripted(t, {
    [SIGN]: [{ status: 400, body: { message: `no ${"/object/sign/x"}?token=${URL_TOKEN}` } }],
  });
  const sink = await sinkFor(t, server);
  assertHides(await rejection(() => sink.signedUrl(PATH, 60)), URL_TOKEN);
});

test("a failing fetch that names the key has it taken out", async (t) => {
  const server = await scripted(t);
  const fetch = () => Promise.reject(new TypeError(`cannot send ${KEY}`));
  const sink = await sinkFor(t, server, { apiKey: KEY, fetch, maxRetries: 0 });
  const error = await rejection(() => sink.sync(aRequest()), { code: "network" });
  assert.ok(!error.message.includes(KEY), error.message);
});

test("a key that no header can hold is not repeated by the error about it", async () => {
  const error = await rejection(() => createSink({ url: "http://localhost", apiKey: `${KEY}\n` }));
  assertHides(error, KEY);
});

test("the password of a refused url is not repeated by the error about it", async () => {
  const error = await rejection(() => createSink({ url: "https://me:a-long-password-of-mine@localhost", apiKey: KEY }));
  assertHides(error, "a-long-password-of-mine", KEY);
});

test("a sink shows no key when it is printed", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server, { apiKey: KEY, accessToken: () => TOKEN });
  const text = inspect(sink, { depth: 9, showHidden: true }) + JSON.stringify(sink);
  assert.ok(!text.includes(KEY));
});
