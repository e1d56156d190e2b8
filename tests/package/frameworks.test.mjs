// Frameworks that take `fetch` into their own hands: they keep answers, and throw to have a page rendered otherwise.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { createRelay } from "imagen-cloud";
import { load } from "../../pkg/api.js";
import * as build from "../../pkg/wasm/imagen_cloud.js";
import {
  aRequest,
  duplicate,
  GET,
  OWNER,
  PATH,
  POST,
  PUT,
  rejection,
  SIGN,
  scripted,
  sentTo,
  sinkFor,
} from "./helpers.mjs";

const fails = (promise) =>
  promise.then(
    () => assert.fail("it resolved"),
    (thrown) => thrown,
  );

/** A fetch that writes down what it was told. */
function recording(seen, instead) {
  return (url, init) => {
    seen.push({ route: `${init.method} ${new URL(url).pathname}`, cache: init.cache });
    return instead?.(url, init) ?? fetch(url, init);
  };
}

test("no cache may answer or keep what is read: a signing, a row, a row read back", async (t) => {
  const server = await scripted(t, {
    [POST]: [duplicate],
    [GET]: [
      ({ target }) => ({
        body: [{ id: /eq\.([0-9a-f-]+)/.exec(target)[1], owner_user_id: OWNER, storage_path: PATH }],
      }),
    ],
    [SIGN]: [{ body: { signedURL: "/object/sign/x?token=t" } }],
  });
  const seen = [];
  const sink = await sinkFor(t, server, { fetch: recording(seen) });
  await sink.sync(aRequest());
  await sink.signedUrl(PATH, 60);
  assert.deepEqual(
    seen.map(({ route, cache }) => [route.split("/")[0].trim(), cache]),
    [
      ["PUT", undefined],
      ["POST", "no-store"],
      ["GET", "no-store"],
      ["POST", "no-store"],
    ],
  );
  const [put] = sentTo(server, PUT);
  assert.equal(put.headers["cache-control"], undefined, "Storage would keep it with the object");
  assert.equal(put.headers.pragma, undefined);
});

test("an upload in pieces and a form say nothing of caches", async (t) => {
  const seen = [];
  const server = await scripted(t, ({ method, body, headers, target }) => {
    if (target.startsWith("/api/")) return { body: { storagePath: PATH } };
    if (target.startsWith("/rest/")) return { status: 201, body: [JSON.parse(body)] };
    const offset = { "upload-offset": String(Number(headers["upload-offset"] ?? 0) + body.length) };
    const location = `http://${headers.host}/storage/v1/upload/resumable/x`;
    return method === "POST" ? { status: 201, headers: { location, ...offset } } : { status: 204, headers: offset };
  });
  const sink = await sinkFor(t, server, { fetch: recording(seen), resumableFrom: 1, chunkSize: 4096 });
  await sink.sync(aRequest());
  const relay = await createRelay({ url: server.url, accessToken: () => "a.b.c", fetch: recording(seen) });
  await relay.sync(aRequest());
  relay.free();
  assert.deepEqual(
    seen.filter(({ cache }) => cache !== undefined).map(({ route }) => route),
    ["POST /rest/v1/images"],
  );
});

test("a fetch of the caller's that refuses `cache` is asked without it, and not again with it", async (t) => {
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL: "/object/sign/x?token=t" } }] });
  const seen = [];
  const refusing = recording(seen, (_, { cache }) => {
    if (cache) throw new Error("The 'cache' field on 'RequestInitializerDict' is not implemented.");
  });
  const sink = await sinkFor(t, server, { fetch: refusing, maxRetries: 0 });
  await sink.signedUrl(PATH, 60);
  await sink.signedUrl(PATH, 60);
  assert.deepEqual(
    seen.map(({ cache }) => cache),
    ["no-store", undefined, undefined],
  );
});

test("where a Request knows no `cache`, none is said", async (t) => {
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL: "/object/sign/x?token=t" } }] });
  const script = `
    const { Request: Own, fetch: own } = globalThis;
    const refuse = (init) => { if (init?.cache) throw new TypeError("not implemented"); };
    globalThis.Request = class extends Own { constructor(url, init) { refuse(init); super(url, init); } };
    globalThis.fetch = async (url, init) => { refuse(init); return own(url, init); };
    const { createSink } = await import("imagen-cloud");
    const sink = await createSink({ url: "${server.url}", apiKey: "k", ownerUserId: "${OWNER}", maxRetries: 0 });
    console.log(await sink.signedUrl("${PATH}", 60));`;
  const cwd = new URL("../../", import.meta.url);
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd });
  assert.match(stdout, /token=t/);
});

// As Next.js 14 to 16 and React 19 make them.
const CONTROL_FLOW = {
  "a fetch that is no part of a static page": { digest: "DYNAMIC_SERVER_USAGE" },
  "a prerender that is over": { digest: "HANGING_PROMISE_REJECTION" },
  "a prerender that was interrupted": { digest: "NEXT_PRERENDER_INTERRUPTED" },
  "a redirect": { digest: "NEXT_REDIRECT;replace;/login;307;" },
  "a page that is missing": { digest: "NEXT_HTTP_ERROR_FALLBACK;404" },
  "a page that is left to the browser": { digest: "BAILOUT_TO_CLIENT_SIDE_RENDERING" },
  "a postponement": { $$typeof: Symbol.for("react.postpone") },
};

for (const [name, marks] of Object.entries(CONTROL_FLOW)) {
  const thrown = Object.assign(new Error("no-store fetch: cache"), marks);
  const throwing = () => Promise.reject(thrown);

  test(`what a framework throws for ${name} comes out as it is, at once`, async (t) => {
    for (const callback of ["fetch", "accessToken"]) {
      let calls = 0;
      const once = () => {
        calls += 1;
        return throwing();
      };
      const sink = await sinkFor(t, { url: "http://127.0.0.1:1" }, { [callback]: once });
      assert.equal(await fails(sink.sync(aRequest())), thrown);
      assert.equal(await fails(sink.signedUrl(PATH, 60)), thrown);
      assert.equal(await fails(sink.signedUrls([PATH], 60)), thrown);
      assert.equal(calls, 3, "nothing is tried again");
      assert.equal(await fails(sink.syncMany([aRequest(), aRequest({ slug: "other" })])), thrown);
    }
  });
}

test("an error that only looks a little like one of a framework's is ours", async (t) => {
  const fetch = () => Promise.reject(Object.assign(new Error("broke"), { digest: 42 }));
  const sink = await sinkFor(t, { url: "http://127.0.0.1:1" }, { fetch, maxRetries: 0 });
  await rejection(() => sink.sync(aRequest()), { code: "network", retryable: true });
});

test("a WebAssembly that can't be read may be there later, a host without any not", async (t) => {
  const lacking = () => load("imagen-cloud", build, () => Promise.reject(new Error("404")));
  await rejection(() => lacking().init(), { code: "load_failed", retryable: true });
  const { WebAssembly: own } = globalThis;
  t.after(() => Object.assign(globalThis, { WebAssembly: own }));
  delete globalThis.WebAssembly;
  const error = await rejection(() => lacking().init(), { code: "load_failed", retryable: false });
  assert.match(error.message, /has no WebAssembly/);
});
