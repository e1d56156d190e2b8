// Options and environment: defaults, names, prefixes, an injected fetch, and the error class itself.
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createSinkFromEnv, ImagenCloudError, isImagenCloudError, signedUrl, sync } from "imagen-cloud";
import {
  aRequest,
  inserted,
  OWNER,
  PATH,
  POST,
  rejection,
  SIGN,
  scripted,
  sentTo,
  sinkFor,
  uploaded,
} from "./helpers.mjs";

async function keyFrom(t, env) {
  const server = await scripted(t);
  const sink = await createSinkFromEnv({ SUPABASE_URL: `${server.url}///`, IMAGEN_OWNER_USER_ID: OWNER, ...env });
  if (sink === undefined) return undefined;
  await sink.sync(aRequest());
  sink.free();
  assert.equal(JSON.parse(sentTo(server, POST)[0].body).owner_user_id, OWNER);
  assert.ok(server.requests[0].target.startsWith("/storage/v1/"), "trailing slashes are trimmed");
  return server.requests[0].headers.apikey;
}

test("the environment's keys are taken in their order, empty ones as missing", async (t) => {
  const all = { SUPABASE_SERVICE_KEY: "service", MAI_SUPABASE_KEY: "mai", SUPABASE_SECRET_KEY: "secret" };
  assert.equal(await keyFrom(t, all), "service");
  assert.equal(await keyFrom(t, { ...all, SUPABASE_SERVICE_KEY: "" }), "mai");
  assert.equal(await keyFrom(t, { ...all, SUPABASE_SERVICE_KEY: undefined, MAI_SUPABASE_KEY: "" }), "secret");
  assert.equal(await keyFrom(t, { SUPABASE_SECRET_KEY: "secret" }), "secret");
});

test("what Supabase itself injects is taken, after the other names", async (t) => {
  const ring = { SUPABASE_SECRET_KEYS: JSON.stringify({ default: "ring", other: "x" }) };
  assert.equal(await keyFrom(t, ring), "ring");
  assert.equal(await keyFrom(t, { ...ring, SUPABASE_SERVICE_ROLE_KEY: "role" }), "role");
  const all = { ...ring, SUPABASE_SERVICE_ROLE_KEY: "role", SUPABASE_SECRET_KEY: "secret" };
  assert.equal(await keyFrom(t, all), "secret");
  for (const broken of ["{", "[]", "null", "7", '{"default":""}', '{"other":"x"}']) {
    assert.equal(await keyFrom(t, { SUPABASE_SECRET_KEYS: broken }), undefined, broken);
  }
});

test("what is missing is named where it is required", async () => {
  const [url, key] = [{ SUPABASE_URL: "https://x.supabase.co" }, { SUPABASE_SERVICE_KEY: "k" }];
  for (const [env, field, words] of [
    [{}, "SUPABASE_URL", /no SUPABASE_URL, and no key: SUPABASE_SERVICE_KEY, .*SUPABASE_SECRET_KEYS/],
    [key, "SUPABASE_URL", /no SUPABASE_URL$/],
    [url, "SUPABASE_SERVICE_KEY", /no key: SUPABASE_SERVICE_KEY/],
  ]) {
    const error = await rejection(() => createSinkFromEnv(env, { required: true }), { code: "invalid_config", field });
    assert.match(error.message, words);
    for (const options of [undefined, {}, { required: false }]) {
      assert.equal(await createSinkFromEnv(env, options), undefined);
    }
  }
  (await createSinkFromEnv({ ...url, ...key }, { required: true })).free();
  await rejection(() => createSinkFromEnv({}, { requird: true }), { code: "invalid_config", field: "requird" });
});

test("a token is taken with what people leave around it", async (t) => {
  for (const token of ["opaque-token", "opaque-token\n", "Bearer opaque-token", " bearer opaque-token\r\n"]) {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { accessToken: () => token });
    await sink.sync(aRequest());
    assert.equal(server.requests[0].headers.authorization, "Bearer opaque-token");
  }
});

test("a URL is taken with the path of one of its services, an ending with its dot", async (t) => {
  for (const service of ["/rest/v1", "/storage/v1/", "/auth/v1"]) {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { url: server.url + service });
    assert.equal((await sink.sync(aRequest({ ext: ".png" }))).storagePath, PATH);
    assert.equal(server.requests[0].target, `/storage/v1/object/imagen-generated/${PATH}`);
  }
});

test("without a URL or a key the environment switches syncing off", async (t) => {
  const off = [{}, { SUPABASE_URL: "https://x.supabase.co" }, { SUPABASE_SERVICE_KEY: "k" }];
  off.push({ SUPABASE_URL: "", SUPABASE_SERVICE_KEY: "k" }, { SUPABASE_URL: "///", SUPABASE_SERVICE_KEY: "k" });
  for (const env of off) assert.equal(await createSinkFromEnv(env), undefined);
  assert.equal(await keyFrom(t, {}), undefined);
});

test("an environment with other variables, process.env itself and a null-prototype object are fine", async () => {
  const env = Object.assign(Object.create(null), { SUPABASE_URL: "https://x.supabase.co", SUPABASE_SERVICE_KEY: "k" });
  for (const each of [{ ...env, PATH: "/bin", N: 1 }, env]) (await createSinkFromEnv(each)).free();
  const saved = { url: process.env.SUPABASE_URL, key: process.env.SUPABASE_SERVICE_KEY };
  try {
    Object.assign(process.env, env);
    (await createSinkFromEnv(process.env)).free();
  } finally {
    restore("SUPABASE_URL", saved.url);
    restore("SUPABASE_SERVICE_KEY", saved.key);
  }
});

function restore(name, value) {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

test("a malformed URL in the environment is an error, not a switch", async () => {
  const env = { SUPABASE_URL: "x.supabase.co", SUPABASE_SERVICE_KEY: "k" };
  await rejection(() => createSinkFromEnv(env), { code: "invalid_config" });
});

test("links begin with the address that others open the project by, and requests go to the other one", async (t) => {
  const signedURL = `/object/sign/imagen-generated/${PATH}?token=t`;
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL } }] });
  const env = { SUPABASE_URL: server.url, SUPABASE_SERVICE_KEY: "k" };
  const link = async (more) => {
    const sink = await createSinkFromEnv({ ...env, ...more });
    try {
      return await sink.signedUrl(PATH);
    } finally {
      sink.free();
    }
  };
  const publicUrl = "https://pictures.example";
  assert.equal(await link({ SUPABASE_PUBLIC_URL: `${publicUrl}/` }), `${publicUrl}/storage/v1${signedURL}`);
  for (const none of [undefined, ""]) {
    assert.equal(await link({ SUPABASE_PUBLIC_URL: none }), `${server.url}/storage/v1${signedURL}`);
  }
  const own = await sinkFor(t, server, { publicUrl });
  assert.ok((await own.signedUrl(PATH)).startsWith(`${publicUrl}/storage/v1/`));
  const bad = { ...env, SUPABASE_PUBLIC_URL: "pictures.example" };
  const error = await rejection(() => createSinkFromEnv(bad), { code: "invalid_config", field: "publicUrl" });
  assert.match(error.message, /publicUrl: must start with https:\/\/ or http:\/\//);
});

test("an environment that is no object is an error", async () => {
  for (const env of [undefined, null, 42, "SUPABASE_URL=x"]) {
    await rejection(() => createSinkFromEnv(env), { code: "invalid_config" });
  }
});

test("an environment without an owner makes a sink that signs, and refuses to sync", async (t) => {
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL: "/object/sign/x?token=t" } }] });
  const sink = await createSinkFromEnv({ SUPABASE_URL: server.url, SUPABASE_SERVICE_KEY: "k" });
  await sink.signedUrl(PATH);
  await rejection(() => sink.sync(aRequest()), { field: "ownerUserId" });
  sink.free();
});

test("options that are undefined are as if left out", async (t) => {
  const server = await scripted(t);
  const nothing = Object.fromEntries(
    [
      "publicUrl",
      "bucket",
      "schema",
      "table",
      "pathPrefix",
      "maxRetries",
      "timeoutMs",
      "cacheControl",
      "accessToken",
      "fetch",
    ].map((name) => [name, undefined]),
  );
  const sink = await sinkFor(t, server, nothing);
  const empty = { ext: undefined, mimeType: undefined, model: undefined, steps: undefined, sidecar: undefined };
  const { storagePath } = await sink.sync(aRequest({ ...empty, imageId: undefined }), { signal: undefined });
  assert.equal(storagePath, PATH);
});

test("bucket, schema, table, prefix and cache-control are used", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server, {
    bucket: "pictures",
    schema: "art",
    table: "pictures",
    pathPrefix: `${OWNER}/made`,
    cacheControl: "max-age=3600",
  });
  const { storagePath } = await sink.sync(aRequest());
  assert.equal(storagePath, `${OWNER}/made/${PATH}`);
  const [upload, insert] = server.requests;
  assert.equal(upload.target, `/storage/v1/object/pictures/${OWNER}/made/${PATH}`);
  assert.equal(upload.headers["cache-control"], "max-age=3600");
  assert.equal(insert.target, "/rest/v1/pictures");
  assert.equal(insert.headers["content-profile"], "art");
  assert.equal(insert.headers["accept-profile"], "art");
  assert.equal(JSON.parse(insert.body).storage_path, storagePath);
});

test("a sidecar arrives as JSON.stringify would write it", async (t) => {
  const server = await scripted(t);
  const sink = await sinkFor(t, server);
  const sidecar = { a: [1, null, { b: 'ü\n"\\\u2028' }], big: 1e21, small: -0.5, none: undefined, "": true };
  await sink.sync(aRequest({ sidecar }));
  const row = JSON.parse(sentTo(server, POST)[0].body);
  assert.deepEqual(row.sidecar, JSON.parse(JSON.stringify(sidecar)));
});

test("the free functions do one call each", async (t) => {
  const server = await scripted(t, { [SIGN]: [{ body: { signedURL: "/object/sign/x?token=t" } }] });
  const options = { url: server.url, apiKey: "test-key", ownerUserId: OWNER };
  assert.equal((await sync(options, aRequest())).storagePath, PATH);
  assert.equal(await signedUrl(options, PATH, 60), `${server.url}/storage/v1/object/sign/x?token=t`);
});

test("an injected fetch is used for everything, as fetch is called", async (t) => {
  const server = await scripted(t);
  const seen = [];
  async function fetch(input, init) {
    assert.ok(this === undefined || this === globalThis, "called as a plain function");
    const request = new Request(input, { ...init, ...(init?.body && { duplex: "half" }) });
    seen.push({ method: request.method, url: request.url, headers: Object.fromEntries(request.headers) });
    const body = Buffer.from(await request.arrayBuffer());
    if (request.method === "PUT") return Response.json(uploaded.body);
    return Response.json(inserted({ body }).body, { status: 201 });
  }
  const sink = await sinkFor(t, server, { fetch });
  await sink.sync(aRequest());
  assert.equal(server.requests.length, 0);
  assert.deepEqual(
    seen.map(({ method, url }) => `${method} ${url}`),
    [`PUT ${server.url}/storage/v1/object/imagen-generated/${PATH}`, `POST ${server.url}/rest/v1/images`],
  );
  assert.equal(seen[0].headers["x-upsert"], "true");
  assert.equal(seen[0].headers.authorization, "Bearer test-key");
});

const ODD_FETCHES = {
  "throws at once": () => {
    throw new TypeError("broken");
  },
  "is rejected with no error": () => Promise.reject(undefined),
  "gives no response": async () => undefined,
  "gives an object that is no response": async () => ({}),
  "gives text": async () => "ok",
  "gives a body that breaks": async () =>
    new Response(
      new ReadableStream({
        pull(stream) {
          stream.error(new Error("broken"));
        },
      }),
    ),
};

for (const [name, fetch] of Object.entries(ODD_FETCHES)) {
  test(`a fetch that ${name} is an error of the upload`, async (t) => {
    const server = await scripted(t);
    const sink = await sinkFor(t, server, { fetch });
    const error = await rejection(() => sink.sync(aRequest()), { stage: "upload" });
    assert.match(error.code, /^(network|bad_response)$/);
  });
}

/** A second copy of the package, as two versions of an application's dependencies bring it along. */
async function copyOfPackage(t) {
  const folder = await mkdtemp(join(tmpdir(), "imagen-cloud-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(fileURLToPath(new URL("../../pkg", import.meta.url)), folder, { recursive: true });
  const load = () => import(pathToFileURL(join(folder, "node.js")));
  return { load, wasm: join(folder, "wasm/imagen_cloud_bg.wasm") };
}

test("an error is a real Error with a stack, and the guard knows one of another copy", async (t) => {
  const error = await rejection(() => sync({}, aRequest()));
  assert.match(error.stack, /ImagenCloudError/);
  assert.ok(error instanceof ImagenCloudError);
  for (const other of [undefined, null, new Error("x"), {}, "ImagenCloudError", { name: "Error" }]) {
    assert.equal(isImagenCloudError(other), false);
  }

  const copy = await (await copyOfPackage(t)).load();
  const foreign = await copy.sync({}, aRequest()).catch((reason) => reason);
  assert.notEqual(copy.ImagenCloudError, ImagenCloudError);
  assert.ok(isImagenCloudError(foreign));
  assert.ok(copy.isImagenCloudError(error));
});

test("a wasm that cannot be loaded is load_failed for every call, and the next call tries again", async (t) => {
  const { load, wasm } = await copyOfPackage(t);
  // Nor can its bytes, which the loader for Node has beside it.
  const inline = join(dirname(wasm), "inline.js");
  await Promise.all([rename(wasm, `${wasm}.away`), rm(inline)]);
  const copy = await load();
  const calls = [
    () => copy.init(),
    () => copy.createSink({ url: "http://localhost", apiKey: "k" }),
    () => copy.createSinkFromEnv({}),
    () => copy.sync({}, aRequest()),
    () => copy.signedUrl({}, PATH),
  ];
  for (const call of calls) await rejection(call, { code: "load_failed", stage: "config" });
  await rename(`${wasm}.away`, wasm);
  (await copy.createSink({ url: "http://localhost", apiKey: "k" })).free();
});

test("init loads from where it is told to, once", async (t) => {
  const { load, wasm } = await copyOfPackage(t);
  const bytes = await readFile(wasm);
  await rm(wasm);
  const copy = await load();
  const loading = copy.init(WebAssembly.compile(bytes));
  assert.equal(copy.init(), loading);
  assert.equal(await loading, undefined);
  (await copy.createSink({ url: "http://localhost", apiKey: "k" })).free();
});
