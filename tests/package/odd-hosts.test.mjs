// What a patched or foreign host hands over in the place of a Response, a signal and a buffer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { Window } from "happy-dom";
import { createSink } from "imagen-cloud";
import { JSDOM } from "jsdom";
import { aRequest, FAST, PNG, POST, PUT, rejection, scripted, sentTo, sinkFor } from "./helpers.mjs";

const happy = new Window();
const { window: dom } = new JSDOM();
const SIGNED = JSON.stringify({ signedURL: "/object/sign/imagen-generated/a.png?token=t" });
/** As little of a Response as is asked for. */
const answer = (fields) => ({ status: 200, text: async () => SIGNED, ...fields });
const throwing = () => {
  throw new TypeError("not today");
};
const hostile = (name) => Object.defineProperty(answer(), name, { get: throwing });

/** A sink whose `fetch` gives this, and how often it was called. */
async function sinkOf(t, fetch) {
  const calls = [];
  const sink = await createSink({
    ...{ url: "https://project.example", apiKey: "a-key", ...FAST },
    fetch: (...args) => {
      calls.push(args);
      return fetch(...args);
    },
  });
  t.after(() => sink.free());
  return { sink, calls };
}

const READ = {
  "an answer that is no promise": () => answer(),
  "an answer without headers": async () => answer(),
  "an answer whose headers are null": async () => answer({ headers: null }),
  "happy-dom's Response": async () => new happy.Response(SIGNED),
  "an answer whose members are inherited": async () => Object.create(answer()),
  "an answer behind a proxy": async () => new Proxy(answer(), {}),
  "an answer of another realm": async () => {
    const realm = createContext({ SIGNED });
    return runInContext("(async () => ({ status: 200, text: async () => SIGNED }))()", realm);
  },
};

for (const [name, fetch] of Object.entries(READ)) {
  test(`${name} is read`, async (t) => {
    const { sink, calls } = await sinkOf(t, fetch);
    assert.match(await sink.signedUrl("a.png", 60), /token=t$/);
    assert.equal(calls.length, 1);
  });
}

const NO_ANSWER = {
  "a fetch that throws at once": throwing,
  "a fetch that throws nothing": () => {
    throw undefined;
  },
  "a fetch that rejects with null": () => Promise.reject(null),
  "a fetch that rejects with a text": () => Promise.reject("offline"),
  "a fetch that rejects with a symbol": () => Promise.reject(Symbol("offline")),
  "a fetch that gives nothing": async () => undefined,
  "a fetch that gives null": async () => null,
  "a fetch that gives a text": async () => SIGNED,
  "a fetch that gives an empty object": async () => ({}),
  "an answer whose status is a text": async () => answer({ status: "200" }),
  "an answer whose status throws": async () => hostile("status"),
  "an answer whose text throws at once": async () => answer({ text: throwing }),
  "an answer whose text is no function": async () => answer({ text: SIGNED }),
  "an answer whose text is rejected": async () => answer({ text: () => Promise.reject(new Error("cut")) }),
  "an answer that somebody has read": async () => {
    const response = new Response(SIGNED);
    await response.text();
    return response;
  },
};

for (const [name, fetch] of Object.entries(NO_ANSWER)) {
  test(`${name} counts as no answer, and is tried again`, async (t) => {
    const { sink, calls } = await sinkOf(t, fetch);
    await rejection(() => sink.signedUrl("a.png", 60), { code: "network", stage: "sign", retryable: true });
    assert.equal(calls.length, 3);
  });
}

const HEADERS = {
  "headers with names in another case": new Map([["Retry-After", "0"]]),
  "headers that are a plain object": { "retry-after": "0" },
  "headers that are a list": [["retry-after", "0"]],
  "headers that throw": { get: throwing },
  "headers that give numbers": { get: () => 7 },
};
const UNTOLD = {
  "Response.error()": async () => Response.error(),
  "an opaque answer, as no-cors gives": async () => answer({ status: 0, type: "opaque", text: async () => "" }),
  "an answer without a body": async () => new Response(null, { status: 200 }),
  "an answer whose text is no text": async () => answer({ text: async () => new Uint8Array(3) }),
  "an answer whose text is a String": async () => answer({ text: async () => Object(SIGNED) }),
};

for (const [name, headers] of Object.entries(HEADERS)) {
  test(`${name} tell nothing, and do no harm`, async (t) => {
    const { sink, calls } = await sinkOf(t, async () => answer({ status: 503, headers }));
    await rejection(() => sink.signedUrl("a.png", 60), { code: "unavailable", status: 503, retryable: true });
    assert.equal(calls.length, 3);
  });
}

for (const [name, fetch] of Object.entries(UNTOLD)) {
  test(`${name} is a bad response, and tried again`, async (t) => {
    const { sink, calls } = await sinkOf(t, fetch);
    await rejection(() => sink.signedUrl("a.png", 60), { code: "bad_response", stage: "sign", retryable: true });
    assert.equal(calls.length, 3);
  });
}

test("a redirect that a service worker hides is final", async (t) => {
  const { sink, calls } = await sinkOf(t, async () => answer({ status: 0, type: "opaqueredirect" }));
  await rejection(() => sink.signedUrl("a.png", 60), { code: "bad_response", retryable: false });
  assert.equal(calls.length, 1);
});

const CONTROLLERS = {
  "jsdom's AbortController": () => new dom.AbortController(),
  "happy-dom's AbortController": () => new happy.AbortController(),
  "a look-alike": () => {
    const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined });
    const abort = (reason) => {
      Object.assign(signal, { aborted: true, reason });
      signal.dispatchEvent(new Event("abort"));
    };
    return { signal, abort };
  },
};

for (const [name, make] of Object.entries(CONTROLLERS)) {
  test(`${name} stops a call with its reason, before it and meanwhile`, async (t) => {
    const reason = new Error("enough");
    const controller = make();
    const { sink } = await sinkOf(t, () => {
      controller.abort(reason);
      return new Promise(() => {});
    });
    for (let time = 0; time < 2; time += 1) {
      const { cause } = await rejection(() => sink.signedUrl("a.png", 60, { signal: controller.signal }), {
        code: "aborted",
      });
      assert.equal(cause, reason);
    }
  });
}

/** A view of a buffer that has shrunk below it. */
const shrunk = (View, ...range) => {
  const buffer = new ArrayBuffer(PNG.length, { maxByteLength: PNG.length });
  const view = new View(buffer, ...range);
  buffer.resize(8);
  return view;
};
const LOST = {
  "a view beyond the end of a buffer that has shrunk": () => shrunk(Uint8Array, 16, 32),
  "a DataView beyond the end of a buffer that has shrunk": () => shrunk(DataView, 16, 32),
  "a buffer that was moved by transfer()": () => {
    const buffer = PNG.slice().buffer;
    buffer.transfer();
    return buffer;
  },
  "a buffer that has shrunk to nothing": () => {
    const buffer = new ArrayBuffer(PNG.length, { maxByteLength: PNG.length });
    buffer.resize(0);
    return buffer;
  },
};

for (const [name, make] of Object.entries(LOST)) {
  test(`${name} is an invalid image, and nothing is sent`, async (t) => {
    const server = await scripted(t);
    const sink = await sinkFor(t, server);
    await rejection(() => sink.sync(aRequest({ image: make() })), { code: "invalid_image", field: "image" });
    assert.equal(server.requests.length, 0);
  });
}

test("a view that follows the length of its buffer is sent as long as that was at the call", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const buffer = new ArrayBuffer(PNG.length, { maxByteLength: 2 * PNG.length });
  const image = new Uint8Array(buffer);
  image.set(PNG);
  const called = sink.sync(aRequest({ image }));
  buffer.resize(2 * PNG.length);
  await called;
  assert.deepEqual(sentTo(server, PUT)[0].body, Buffer.from(PNG));
  assert.equal(sentTo(server, POST).length, 1);
});
