// What is tried again, after what wait, and that trying again never makes a second row.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aRequest,
  duplicate,
  GET,
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

const ID = "11111111-2222-4333-8444-555555555555";
const signed = { body: { signedURL: `/object/sign/imagen-generated/${PATH}?token=t` } };
const postgrest = (status, code) => ({ status, body: { code, message: "try again", details: null, hint: null } });

const STAGES = {
  upload: { route: PUT, well: uploaded, call: (sink) => sink.sync(aRequest()) },
  insert: { route: POST, well: inserted, call: (sink) => sink.sync(aRequest()) },
  sign: { route: SIGN, well: signed, call: (sink) => sink.signedUrl(PATH, 60) },
};

const EVERYWHERE = {
  ...Object.fromEntries([408, 425, 429, 500, 502, 503, 504, 520, 544].map((status) => [status, { status }])),
  "a cut connection": { status: 0 },
  "a truncated answer": { truncate: true, body: '{"Key":' },
  "an empty answer": { body: "" },
  "a captive portal's page": { headers: { "content-type": "text/html" }, body: "<html>sign in</html>" },
  "half a JSON": { body: '{"Key":"imagen' },
};
const AT_STORAGE = {
  ...Object.fromEntries(
    ["408", "425", "429", "500", "502", "503", "504", "544"].map((code) => [
      `400/${code}`,
      storageError(code, "Error", "later"),
    ]),
  ),
  "400/503 as a number": storageError(503, "Error", "later"),
  "a lock timeout": storageError("503", "Lock timeout", "acquiring lock timeout", "LockTimeout"),
  "a read-only database": storageError("503", "Database read-only", "read-only", "DatabaseReadOnly"),
  "a slow-down": {
    status: 429,
    body: { statusCode: "429", error: "SlowDown", message: "slow down", code: "SlowDown" },
  },
};
const AT_POSTGREST = {
  "a serialization failure": postgrest(500, "40001"),
  "a deadlock": postgrest(500, "40P01"),
  "a statement timeout": postgrest(500, "57014"),
  "a database that is starting": postgrest(503, "57P03"),
  "a read-only database": postgrest(405, "25006"),
  "a lock that another has": postgrest(500, "55P03"),
  "a disk that is full": postgrest(503, "53100"),
  "an inner error": postgrest(500, "XX000"),
  PGRST000: postgrest(503, "PGRST000"),
  PGRST001: postgrest(503, "PGRST001"),
  PGRST002: postgrest(503, "PGRST002"),
  PGRST003: postgrest(504, "PGRST003"),
};
const TRANSIENT = {
  upload: { ...EVERYWHERE, ...AT_STORAGE },
  insert: { ...EVERYWHERE, ...AT_POSTGREST },
  sign: { ...EVERYWHERE, ...AT_STORAGE },
};

for (const [stage, replies] of Object.entries(TRANSIENT)) {
  const { route, well, call } = STAGES[stage];
  for (const [name, reply] of Object.entries(replies)) {
    test(`${stage} answered with ${name} is tried again`, async (t) => {
      const server = await scripted(t, { [route]: [reply, well] });
      const sink = await sinkFor(t, server);
      await call(sink);
      const sent = sentTo(server, route);
      assert.equal(sent.length, 2);
      assert.deepEqual(sent[1].body, sent[0].body, "the same request");
      assert.equal(sentTo(server, PUT).length, stage === "upload" ? 2 : stage === "insert" ? 1 : 0);
    });
  }
}

const FINAL = {
  upload: ["400", "401", "403", "404", "409", "413", "415"].map((code) => storageError(code, "Error", "no")),
  insert: [
    postgrest(400, "PGRST204"),
    postgrest(404, "PGRST205"),
    postgrest(403, "42501"),
    postgrest(409, "23503"),
    postgrest(500, "P0004"),
  ],
  sign: ["400", "404"].map((code) => storageError(code, "Error", "no")),
};

for (const [stage, replies] of Object.entries(FINAL)) {
  const { route, well, call } = STAGES[stage];
  for (const reply of replies) {
    test(`${stage} answered with ${reply.status} ${reply.body.code ?? reply.body.statusCode} is final`, async (t) => {
      const server = await scripted(t, { [route]: [reply, well] });
      const sink = await sinkFor(t, server);
      await rejection(() => call(sink), { stage, retryable: false, attempts: 1 });
      assert.equal(sentTo(server, route).length, 1);
    });
  }
}

test("when the retries are used up the error is retryable and counts its attempts", async (t) => {
  const replies = { 503: "unavailable", 429: "rate_limited", 0: "network" };
  for (const [status, code] of Object.entries(replies)) {
    const server = await scripted(t, { [PUT]: [{ status: Number(status) }] });
    const sink = await sinkFor(t, server, { maxRetries: 3 });
    const error = await rejection(() => sink.sync(aRequest()), { code, stage: "upload", retryable: true, attempts: 4 });
    assert.equal(error.status, Number(status) || undefined);
    assert.equal(sentTo(server, PUT).length, 4);
  }
});

test("each stage has retries of its own", async (t) => {
  const server = await scripted(t, {
    [PUT]: [{ status: 503 }, { status: 503 }, uploaded],
    [POST]: [{ status: 503 }, { status: 503 }, inserted],
  });
  const sink = await sinkFor(t, server);
  await sink.sync(aRequest());
  assert.equal(server.requests.length, 6);
});

/** The first wait after `reply`: the call is aborted as soon as it is told, so that nothing is waited for. */
async function firstWait(t, reply, options) {
  const server = await scripted(t, { [PUT]: [reply] });
  const sink = await sinkFor(t, server, options);
  const controller = new AbortController();
  let told;
  const onRetry = (retrying) => {
    told ??= retrying;
    controller.abort();
  };
  const error = await rejection(() => sink.sync(aRequest(), { signal: controller.signal, onRetry }));
  return { told, error };
}

test("onRetry is told stage, code, status, attempt and wait", async (t) => {
  const { told } = await firstWait(t, { status: 503, headers: { "retry-after": "7" } });
  assert.deepEqual({ ...told }, { stage: "upload", code: "unavailable", status: 503, attempt: 1, waitMs: 7000 });
});

test("after a cut connection onRetry is told no status", async (t) => {
  const { told } = await firstWait(t, { status: 0 });
  assert.equal(told.code, "network");
  assert.equal(told.status, undefined);
});

test("a Retry-After in seconds is the wait, without jitter", async (t) => {
  for (const [status, seconds] of [
    [429, 1],
    [503, 12],
    [500, 60],
  ]) {
    const { told } = await firstWait(t, { status, headers: { "retry-after": String(seconds) } });
    assert.equal(told.waitMs, seconds * 1000);
  }
});

test("a Retry-After that is a date is waited for, by the clock of the server", async (t) => {
  const [date, at] = ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:20 GMT"];
  const { told } = await firstWait(t, { status: 503, headers: { "retry-after": at, date } });
  assert.equal(told.waitMs, 20_000);
});

test("a Retry-After of 0, or a date in the past, means at once", async (t) => {
  for (const value of ["0", "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    const server = await scripted(t, { [PUT]: [{ status: 503, headers: { "retry-after": value } }, uploaded] });
    const sink = await sinkFor(t, server, { initialBackoffMs: 60_000 });
    await sink.sync(aRequest());
    assert.equal(sentTo(server, PUT).length, 2);
  }
});

test("a Retry-After that makes no sense falls back to the backoff", async (t) => {
  for (const value of ["soon", "-5", "", "1e3x", "99999999999999999999999"]) {
    const { told, error } = await firstWait(
      t,
      { status: 503, headers: { "retry-after": value } },
      { initialBackoffMs: 40, maxBackoffMs: 1000 },
    );
    if (told) assert.ok(told.waitMs <= 1000, `${value}: ${told.waitMs}`);
    else assert.ok(error.retryAfterMs > 1000, "or it is a wait that is too long");
  }
});

test("a Retry-After beyond maxBackoffMs ends the call at once, retryable", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 429, headers: { "retry-after": "120" } }] });
  const sink = await sinkFor(t, server, { maxBackoffMs: 30_000 });
  const onRetry = () => assert.fail("nothing is waited for");
  await rejection(() => sink.sync(aRequest(), { onRetry }), {
    code: "rate_limited",
    retryable: true,
    retryAfterMs: 120_000,
    attempts: 1,
  });
  assert.equal(server.requests.length, 1);
});

test("the last attempt's Retry-After is in the error", async (t) => {
  const server = await scripted(t, { [PUT]: [{ status: 503, headers: { "retry-after": "9" } }] });
  const sink = await sinkFor(t, server, { maxRetries: 0 });
  await rejection(() => sink.sync(aRequest()), { retryAfterMs: 9000, retryable: true });
});

test("waits double, are capped by maxBackoffMs, and have jitter", async (t) => {
  const runs = [];
  for (let run = 0; run < 4; run += 1) {
    const server = await scripted(t, { [PUT]: [{ status: 500 }] });
    const sink = await sinkFor(t, server, { maxRetries: 6, initialBackoffMs: 4, maxBackoffMs: 16 });
    const waits = [];
    await rejection(() => sink.sync(aRequest(), { onRetry: ({ waitMs }) => waits.push(waitMs) }));
    assert.equal(waits.length, 6);
    for (const [index, wait] of waits.entries()) {
      assert.ok(wait >= 0 && wait <= Math.min(16, 4 * 2 ** index), `wait ${index}: ${wait}`);
    }
    runs.push(waits.join());
  }
  assert.ok(new Set(runs).size > 1, `no jitter in ${runs.join(" | ")}`);
});

/** A read-back's answer: the row of ID as someone has it. */
const found = (fields = {}) => ({ body: [{ id: ID, owner_user_id: OWNER, storage_path: PATH, ...fields }] });

test("an insert whose answer was lost is settled by reading the row back", async (t) => {
  const lost = [{ status: 0 }, { truncate: true, status: 201, body: "[{" }, { status: 201, body: "<html>" }];
  for (const answer of lost) {
    const server = await scripted(t, { [POST]: [answer, duplicate], [GET]: [found()] });
    const sink = await sinkFor(t, server);
    const result = await sink.sync(aRequest({ imageId: ID }));
    assert.deepEqual({ ...result }, { storagePath: PATH, imageId: ID });
    const [first, second] = sentTo(server, POST);
    assert.deepEqual(second.body, first.body);
    const [read] = sentTo(server, GET);
    const url = new URL(read.target, server.url);
    assert.equal(url.pathname, "/rest/v1/images");
    assert.equal(url.searchParams.get("select"), "id,owner_user_id,storage_path");
    assert.ok(url.search.includes(ID));
    assert.equal(read.headers["accept-profile"], "imagen");
    assert.equal(read.headers.apikey, "test-key");
    assert.equal(sentTo(server, GET).length, 1);
  }
});

test("a 409 whose body is rubbish is settled by reading the row back too", async (t) => {
  const garbled = { status: 409, body: "\u0000{]oops" };
  const server = await scripted(t, { [POST]: [{ status: 0 }, garbled], [GET]: [found()] });
  const sink = await sinkFor(t, server);
  assert.equal((await sink.sync(aRequest({ imageId: ID }))).imageId, ID);
});

test("an id made by the library is read back likewise", async (t) => {
  const server = await scripted(t, {
    [POST]: [{ status: 0 }, duplicate],
    [GET]: [({ target }) => found({ id: target.match(/[0-9a-f]{8}-[0-9a-f-]{27}/)[0] })],
  });
  const sink = await sinkFor(t, server);
  const { imageId } = await sink.sync(aRequest());
  assert.equal(imageId, JSON.parse(sentTo(server, POST)[0].body).id);
});

test("the same imageId a second time is a success", async (t) => {
  const server = await scripted(t, { [POST]: [duplicate], [GET]: [found()] });
  const sink = await sinkFor(t, server);
  assert.equal((await sink.sync(aRequest({ imageId: ID }))).imageId, ID);
});

test("an imageId in capitals is the same UUID", async (t) => {
  const server = await scripted(t, { [POST]: [duplicate], [GET]: [found({ id: ID.toLowerCase() })] });
  const sink = await sinkFor(t, server);
  const { imageId } = await sink.sync(aRequest({ imageId: ID.toUpperCase() }));
  assert.equal(imageId.toLowerCase(), ID);
});

const TAKEN = {
  "at another path": found({ storage_path: "2026-05-11/other-1.png" }),
  "of another owner": found({ owner_user_id: "00000000-0000-4000-8000-000000000000" }),
  "that may not be seen": { body: [] },
};

for (const [name, reply] of Object.entries(TAKEN)) {
  test(`the id of a row ${name} is taken, for good`, async (t) => {
    const server = await scripted(t, { [POST]: [duplicate], [GET]: [reply] });
    const sink = await sinkFor(t, server);
    await rejection(() => sink.sync(aRequest({ imageId: ID })), {
      code: "id_taken",
      stage: "insert",
      retryable: false,
      storagePath: PATH,
      imageId: ID,
    });
    assert.equal(sentTo(server, POST).length, 1);
  });
}

for (const [name, reply] of Object.entries({ ...EVERYWHERE, ...AT_POSTGREST })) {
  test(`a read-back answered with ${name} is tried again`, async (t) => {
    const server = await scripted(t, { [POST]: [duplicate], [GET]: [reply, found()] });
    const sink = await sinkFor(t, server);
    assert.equal((await sink.sync(aRequest({ imageId: ID }))).imageId, ID);
    assert.equal(sentTo(server, GET).length, 2);
  });
}

test("a read-back that never succeeds is a retryable error of the insert", async (t) => {
  const server = await scripted(t, { [POST]: [duplicate], [GET]: [{ status: 503 }] });
  const sink = await sinkFor(t, server);
  await rejection(() => sink.sync(aRequest({ imageId: ID })), {
    stage: "insert",
    retryable: true,
    storagePath: PATH,
    imageId: ID,
  });
});
