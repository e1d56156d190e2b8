// A link has two ways: the package's, and a short one for the usual answer to a usual path. Nobody may be able to tell which one
// it came by: not Supabase by what it is asked, not the caller by what comes of it.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule } from "./modules.mjs";

const USER = { id: "00000000-0000-4000-8000-00000000000a" };
const PATH = `${USER.id}/2026-05-11/lighthouse-42.png`;
const ENV = {
  SUPABASE_URL: "https://project.example/rest/v1",
  SUPABASE_SERVICE_KEY: "the-service-key",
  SYNC_BACKOFF_MS: "4",
};
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.x-_0";

let ways;
let settings;
let toProblem;
before(async () => {
  const { signUrl } = await importModule("signed-url.ts");
  const { signingSink } = await importModule("supabase.ts");
  ({ toProblem } = await importModule("problem.ts"));
  settings = (await importModule("settings.ts")).readSettings(ENV);
  ways = {
    short: (of) => signUrl(new URLSearchParams({ path: PATH, ttl: "60" }), USER, of),
    package: async (of) => (await signingSink(of)).signedUrl(PATH, 60, { deadlineMs: of.syncDeadlineMs }),
  };
});

const json = (status, body, headers) => () =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } });
const page = (status, headers) => () =>
  new Response("<html>", { status, headers: { "content-type": "text/html", ...headers } });
const signed = (signedURL, status = 200) => json(status, { signedURL });
const usual = signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}`);
const storage = (statusCode, error, code) => json(400, { statusCode, error, message: `${error}, said Storage`, code });
const fails = () => {
  throw new TypeError("fetch failed");
};

/** What Supabase answers, one request after another; the last one from then on. */
const ANSWERS = {
  "the usual answer": [usual],
  "a link with the prefix of Storage": [signed(`/storage/v1/object/sign/imagen-generated/${PATH}?token=${TOKEN}`)],
  "an absolute link": [
    signed(`https://project.example/storage/v1/object/sign/imagen-generated/${PATH}?token=${TOKEN}`),
  ],
  "a link without a slash before it": [signed(`object/sign/imagen-generated/${PATH}?token=${TOKEN}`)],
  "a link to another path": [signed(`/object/sign/imagen-generated/${USER.id}/x.png?token=${TOKEN}`)],
  "a link to another host": [signed(`https://evil.example/object/sign/imagen-generated/${PATH}?token=${TOKEN}`)],
  "a link to another host without its scheme": [signed(`//evil.example/${PATH}?token=${TOKEN}`)],
  "a link without a token": [signed(`/object/sign/imagen-generated/${PATH}`)],
  "a link with an empty token": [signed(`/object/sign/imagen-generated/${PATH}?token=`)],
  "a token with a blank": [signed(`/object/sign/imagen-generated/${PATH}?token=a b`)],
  "a token with a further parameter": [signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}&x=y`)],
  "a token twice": [signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}?token=other`)],
  "a token with a fragment": [signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}#x`)],
  "a usual link with status 201": [signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}`, 201)],
  "a usual link with status 400": [signed(`/object/sign/imagen-generated/${PATH}?token=${TOKEN}`, 400)],
  "a link that is a number": [signed(7)],
  "a link that is null": [signed(null)],
  "an empty link": [signed("")],
  "no link": [json(200, {})],
  "a list": [json(200, [])],
  null: [json(200, null)],
  "a text": [json(200, "x")],
  "an empty 200": [() => new Response("")],
  "a 204": [() => new Response(null, { status: 204 })],
  "a page with 200": [page(200)],
  "a page and then the usual answer": [page(200), usual],
  "a gateway's page with 404": [page(404)],
  "a gateway's page with 502": [page(502), usual],
  "a gateway's page with 520": [page(520)],
  "no such object": [storage("404", "not_found", "NoSuchKey")],
  "no such object, as older servers say": [storage("404", "not_found")],
  "no such object, with a number": [storage(404, "not_found")],
  "no such object, with the real status": [json(404, { statusCode: "404", error: "not_found", message: "x" })],
  "no such bucket": [storage("404", "Bucket not found", "NoSuchBucket")],
  "an illegal key": [storage("400", "InvalidKey", "InvalidKey")],
  "a key that has expired": [storage("403", "Unauthorized", "AccessDenied")],
  "a key that the gateway refuses": [json(401, { message: "Invalid API key" })],
  "a lock that was not had": [storage("503", "LockTimeout", "LockTimeout"), usual],
  "a database in read-only mode": [storage("503", "DatabaseReadOnly", "DatabaseReadOnly")],
  "a database that was too slow": [json(544, { statusCode: "544", error: "DatabaseTimeout", message: "x" }), usual],
  "too many requests": [json(429, { message: "slow down" }, { "retry-after": "2" }), usual],
  "too many requests, on and on": [json(429, { message: "slow down" }, { "retry-after": "1" })],
  "too many requests for longer than anybody waits": [json(429, {}, { "retry-after": "3600" })],
  "503 with a time to come again": [json(503, {}, { "retry-after": "2" }), usual],
  "500 twice": [json(500, {}), json(500, {}), usual],
  "500 on and on": [json(500, { message: "x" })],
  408: [json(408, {}), usual],
  "a redirect": [page(302, { location: "https://evil.example/" })],
  "a redirect that keeps the method": [page(307, { location: "/elsewhere" })],
  "a broken line": [fails, usual],
  "a broken line on and on": [fails],
  "an answer that breaks off": [
    () => new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError("terminated")) })),
    usual,
  ],
};

/** Asks one way, with Supabase answering so: what was asked, what was waited for, and what came of it. */
async function tryWay(t, way, answers, of = settings) {
  const asked = [];
  const waits = [];
  const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout };
  const fetching = t.mock.method(globalThis, "fetch", async (input, init) => {
    const { method, body, redirect, headers } = init;
    const named = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
    asked.push({
      url: String(input),
      method,
      redirect,
      headers: Object.fromEntries(named.sort()),
      body: await textOf(body),
    });
    return answers[Math.min(asked.length, answers.length) - 1](init);
  });
  // What a server asks for is waited for as it stands; other waits are drawn. Neither has to pass.
  const waiting = t.mock.method(globalThis, "setTimeout", (work, ms, ...rest) => {
    if (ms > 2_500) return real.setTimeout(work, ms, ...rest);
    waits.push(ms >= 1_000 ? ms : "a moment");
    return real.setTimeout(work, 0, ...rest);
  });
  try {
    return { asked, waits, came: await way(of).catch(toldOf) };
  } finally {
    fetching.mock.restore();
    waiting.mock.restore();
  }
}

const textOf = async (body) => (body === undefined ? undefined : new Response(body).text());

function toldOf(error) {
  const { code, status, field, retryAfterSeconds } = toProblem(error);
  const { stage, status: answered, serverCode, retryable, retryAfterMs, attempts, storagePath, message } = error;
  const own = {
    code: error.code,
    stage,
    answered,
    serverCode,
    retryable,
    retryAfterMs,
    attempts,
    storagePath,
    message,
  };
  return { told: { code, status, field, retryAfterSeconds }, own };
}

for (const [name, answers] of Object.entries(ANSWERS)) {
  test(`by both ways ${name} is asked for, waited for and told alike`, async (t) => {
    const short = await tryWay(t, ways.short, answers, { ...settings });
    const whole = await tryWay(t, ways.package, answers, { ...settings });
    assert.ok(whole.asked.length > 0);
    assert.deepEqual(short, whole);
  });
}

test("by both ways a link begins with the address that pages reach the project by", async (t) => {
  const own = { ...settings, supabaseUrl: "http://kong:8000", publicUrl: "https://project.example/db" };
  const path = `/storage/v1/object/sign/imagen-generated/${PATH}?token=${TOKEN}`;
  for (const answers of [[usual], [signed(path)], [signed(`http://kong:8000${path}`)]]) {
    for (const way of [ways.short, ways.package]) {
      const { asked, came } = await tryWay(t, way, answers, { ...own });
      assert.equal(came, `https://project.example/db${path}`);
      assert.ok(asked.every(({ url }) => url.startsWith("http://kong:8000/storage/v1/")));
    }
  }
});

test("by both ways an answer that does not come is waited for as long, and told alike", async (t) => {
  const hangs = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const told = [];
  for (const way of [ways.short, ways.package]) {
    const { asked, came } = await tryWay(t, way, [hangs], { ...settings, syncDeadlineMs: 2_600 });
    told.push({ asked, told: came.told });
  }
  assert.deepEqual(told[0], told[1]);
  assert.equal(told[0].told.code, "unavailable");
});
