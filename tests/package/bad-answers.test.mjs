// What a server may answer that it should not, and what the error says about it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  aRequest,
  GET,
  PATH,
  POST,
  PUT,
  rejection,
  SIGN,
  scripted,
  sentTo,
  sinkFor,
  storageError,
} from "./helpers.mjs";

const STAGES = {
  upload: { route: PUT, status: 200, call: (sink) => sink.sync(aRequest()), wrong: [{}, [], { key: "x" }, { Key: 1 }] },
  insert: {
    route: POST,
    status: 201,
    call: (sink) => sink.sync(aRequest()),
    wrong: [{}, [{}], [{ id: 42 }], [null], "null", { id: "492a7ae8-3ccb-4682-b40c-92195f198c67" }, []],
  },
  sign: {
    route: SIGN,
    status: 200,
    call: (sink) => sink.signedUrl(PATH, 60),
    wrong: [{}, [], "null", '"/object/sign/x?token=t"', { signedURL: 42 }, { signedURL: "" }, { signedURL: null }],
  },
};

for (const [stage, { route, status, call, wrong }] of Object.entries(STAGES)) {
  const answers = {
    HTML: { status, headers: { "content-type": "text/html" }, body: "<!doctype html><title>Sign in to Wi-Fi</title>" },
    nothing: { status, body: "" },
    "no content": { status: 204, headers: { "content-length": "0" }, body: "" },
    "half a JSON": { status, headers: { "content-type": "application/json" }, body: '[{"id":"492a7ae8-3c' },
    "bytes that are no UTF-8": { status, body: Buffer.from([0xff, 0xfe, 0x00, 0xc3]) },
  };
  for (const body of wrong) answers[`a wrong shape, ${JSON.stringify(body)}`] = { status, body };

  for (const [name, reply] of Object.entries(answers)) {
    test(`${stage} answered with ${name} is a bad response`, async (t) => {
      const server = await scripted(t, { [route]: [reply] });
      const sink = await sinkFor(t, server, { maxRetries: 0 });
      const error = await rejection(() => call(sink), {
        code: "bad_response",
        stage,
        status: reply.status,
        attempts: 1,
      });
      if (stage === "insert") {
        assert.equal(error.storagePath, PATH);
        assert.ok(error.imageId, "the row's id is known");
      }
    });
  }
}

const invalidKey = { message: "Invalid API key", hint: "Double check your Supabase `anon` or `service_role` API key." };
const refusedRow = {
  code: "42501",
  message: 'new row violates row-level security policy for table "images"',
  details: null,
  hint: null,
};
const MISTAKES = {
  "a schema that is not exposed": {
    route: POST,
    reply: {
      status: 406,
      body: {
        code: "PGRST106",
        message: "Invalid schema: imagen",
        details: null,
        hint: "Only the following schemas are exposed: public",
      },
    },
    expected: { code: "schema_not_exposed", stage: "insert", status: 406, serverCode: "PGRST106" },
    advice: /Exposed schemas/i,
  },
  "a table that is missing": {
    route: POST,
    reply: {
      status: 404,
      body: {
        code: "PGRST205",
        message: "Could not find the table 'imagen.images' in the schema cache",
        details: null,
        hint: null,
      },
    },
    expected: { code: "table_missing", stage: "insert", status: 404, serverCode: "PGRST205" },
    advice: /migration/i,
  },
  "a bucket that is missing": {
    route: PUT,
    reply: storageError("404", "Bucket not found", "Bucket not found", "NoSuchBucket"),
    expected: { code: "bucket_missing", stage: "upload", status: 400, serverCode: "NoSuchBucket" },
    advice: /imagen-generated.*|migration/i,
  },
  "a bucket that is missing on an older server": {
    route: PUT,
    reply: storageError("404", "Bucket not found", "Bucket not found"),
    expected: { code: "bucket_missing", stage: "upload", status: 400 },
    advice: /imagen-generated.*|migration/i,
  },
  "a key that the gateway does not know, at Storage": {
    route: PUT,
    reply: { status: 401, body: invalidKey },
    expected: { code: "unauthorized", stage: "upload", status: 401 },
    advice: /apiKey/,
  },
  "a key that the gateway does not know, at PostgREST": {
    route: POST,
    reply: { status: 401, body: invalidKey },
    expected: { code: "unauthorized", stage: "insert", status: 401 },
    advice: /apiKey/,
  },
  "a row that a policy refuses": {
    route: POST,
    reply: { status: 403, body: refusedRow },
    expected: { code: "forbidden", stage: "insert", status: 403, serverCode: "42501" },
    advice: /policy|pathPrefix|ownerUserId/i,
  },
  "a row that the publishable key alone may not write": {
    route: POST,
    reply: { status: 401, body: refusedRow },
    expected: { code: "forbidden", stage: "insert", status: 401, serverCode: "42501" },
    advice: /policy|accessToken/i,
  },
  "a policy that calls itself": {
    route: POST,
    reply: {
      status: 500,
      body: {
        code: "42P17",
        message: 'infinite recursion detected in policy for relation "images"',
        details: null,
        hint: null,
      },
    },
    expected: { code: "rejected", stage: "insert", status: 500, serverCode: "42P17" },
    advice: /policy.*security definer/i,
  },
  "a grant that is missing": {
    route: POST,
    reply: {
      status: 403,
      body: { code: "42501", message: "permission denied for schema imagen", details: null, hint: null },
    },
    expected: { code: "forbidden", stage: "insert", status: 403, serverCode: "42501" },
    advice: /grant|migration/i,
  },
  "an object that a policy refuses": {
    route: PUT,
    reply: storageError("403", "Unauthorized", "new row violates row-level security policy", "AccessDenied"),
    expected: { code: "forbidden", stage: "upload", status: 400, serverCode: "AccessDenied" },
    advice: /policy|pathPrefix/i,
  },
  "an object that a policy refuses on an older server": {
    route: PUT,
    reply: storageError("403", "Unauthorized", "new row violates row-level security policy"),
    expected: { code: "forbidden", stage: "upload", status: 400 },
    advice: /policy|pathPrefix/i,
  },
};

/** Of PostgREST's errors: its other members quote rows. */
const told = (body) => (body.details === undefined ? body : { code: body.code, message: body.message });

for (const [name, { route, reply, expected, advice }] of Object.entries(MISTAKES)) {
  test(`${name} gets its code and advice`, async (t) => {
    const server = await scripted(t, { [route]: [reply] });
    const sink = await sinkFor(t, server);
    const error = await rejection(() => sink.sync(aRequest()), { ...expected, retryable: false, attempts: 1 });
    const [start] = error.message.split(": ");
    const own = `${start}: ${reply.status}: ${JSON.stringify(told(reply.body))}`;
    assert.ok(error.message.startsWith(own), `${error.message} starts with the server's own words`);
    const rest = error.message.slice(own.length);
    assert.match(rest, advice);
    assert.ok(rest.trim().length > 20, `${rest} says what to do`);
  });
}

const QUOTED = "Failing row contains (492a7ae8, a prompt that is nobody's business).";

test("what quotes a row is in no error, also where the answer is cut", async (t) => {
  const body = {
    code: "23514",
    details: QUOTED,
    hint: QUOTED,
    message: 'violates check constraint "images_steps_check"',
  };
  for (const sent of [body, JSON.stringify(body).slice(0, 80)]) {
    const server = await scripted(t, { [POST]: [{ status: 400, body: sent }] });
    const sink = await sinkFor(t, server, { maxRetries: 0 });
    const error = await rejection(() => sink.sync(aRequest()), { stage: "insert", status: 400 });
    assert.doesNotMatch(JSON.stringify({ ...error, message: error.message }), /Failing|prompt that/);
    assert.match(error.message, /23514/);
  }
});

for (const [stage, { route, call }] of Object.entries(STAGES)) {
  const html = { headers: { "content-type": "text/html" }, body: "<html>Blocked. Ray 8f2</html>" };
  for (const [name, reply] of Object.entries({ HTML: html, nothing: { body: "" }, text: { body: "Forbidden" } })) {
    test(`${stage} answered with a 401 or 403 of ${name} is a gateway's word, and none on the token`, async (t) => {
      for (const status of [401, 403]) {
        const server = await scripted(t, { [route]: [{ ...reply, status }] });
        let asked = 0;
        const accessToken = () => {
          asked += 1;
          return `token-${asked}`;
        };
        const sink = await sinkFor(t, server, { accessToken });
        await rejection(() => call(sink), { code: "unavailable", stage, status, retryable: true, attempts: 1 });
        assert.equal(sentTo(server, route).length, 1, "whoever dislikes it does so a second later too");
      }
    });
  }
}

const AWAY = {
  "a page that knows no such address": { status: 404, body: "<html>Not Found</html>" },
  "a text that knows no such address": { status: 404, body: "404 page not found" },
  "a gateway's JSON that knows no route": { status: 404, body: { message: "no Route matched with those values" } },
  "the hosted gateway's JSON that knows no path": { status: 404, body: { error: "requested path is invalid" } },
  "a page that allows no such method": { status: 405, body: "<html>Not Allowed</html>" },
  "a page that has gone": { status: 410, body: "<html>Gone</html>" },
};

for (const [stage, { route, call }] of Object.entries(STAGES)) {
  for (const [name, reply] of Object.entries(AWAY)) {
    test(`${stage} answered with ${name} is tried again, and no word on bucket or object`, async (t) => {
      const server = await scripted(t, { [route]: [reply, reply, reply] });
      const sink = await sinkFor(t, server);
      const expected = { code: "unavailable", stage, status: reply.status, retryable: true, attempts: 3 };
      await rejection(() => call(sink), expected);
    });
  }
  for (const status of [400, 409, 411, 412, 414, 415, 416]) {
    test(`${stage} answered with a ${status} of a page is a gateway's word, and none on image or request`, async (t) => {
      const reply = { status, headers: { "content-type": "text/html" }, body: "<html>No</html>" };
      // That an id is taken is looked up.
      const server = await scripted(t, { [route]: [reply], [GET]: [{ body: "<html>", status: 403 }] });
      const sink = await sinkFor(t, server);
      const error = await rejection(() => call(sink), { code: "unavailable", stage, retryable: true });
      assert.ok([status, 403].includes(error.status));
    });
  }
}

const REFUSALS = {
  "an image that is too large": [
    PUT,
    storageError("413", "Payload too large", "too large", "EntityTooLarge"),
    "too_large",
  ],
  "an image that is too large for the gateway": [PUT, { status: 413, body: "<html>" }, "too_large"],
  "a type that the bucket does not allow": [
    PUT,
    storageError("415", "invalid_mime_type", "mime type text/plain is not supported", "InvalidMimeType"),
    "type_not_allowed",
  ],
  "a key that the server does not like": [
    PUT,
    storageError("400", "InvalidKey", "Invalid key: a~b", "InvalidKey"),
    "rejected",
    "InvalidKey",
  ],
  "a column that is missing": [
    POST,
    { status: 400, body: { code: "PGRST204", message: "Could not find the 'id' column", details: null, hint: null } },
    "rejected",
    "PGRST204",
  ],
  "an owner that does not exist": [
    POST,
    { status: 409, body: { code: "23503", message: "violates foreign key", details: null, hint: null } },
    "rejected",
    "23503",
  ],
};

for (const [name, [route, reply, code, serverCode]] of Object.entries(REFUSALS)) {
  test(`${name} is ${code}, and final`, async (t) => {
    const server = await scripted(t, { [route]: [reply] });
    const sink = await sinkFor(t, server);
    const error = await rejection(() => sink.sync(aRequest()), { code, retryable: false, status: reply.status });
    if (serverCode) assert.equal(error.serverCode, serverCode);
    assert.equal(sentTo(server, route).length, 1);
  });
}

test("signing what is not there is object_missing", async (t) => {
  const server = await scripted(t, { [SIGN]: [storageError("404", "not_found", "Object not found", "NoSuchKey")] });
  const sink = await sinkFor(t, server);
  await rejection(() => sink.signedUrl(PATH, 60), { code: "object_missing", stage: "sign", serverCode: "NoSuchKey" });
});

test("a redirect is never followed with the key to another place", async (t) => {
  const elsewhere = await scripted(t);
  const server = await scripted(t, { [PUT]: [{ status: 307, headers: { location: `${elsewhere.url}/x` } }] });
  const sink = await sinkFor(t, server, { maxRetries: 0 });
  await rejection(() => sink.sync(aRequest()), { stage: "upload" });
  assert.equal(
    elsewhere.requests.filter(({ headers }) => headers.apikey || headers.authorization).length,
    0,
    "no key arrives there",
  );
});

const cut = (body) => `storage upload: 400: ${body}`;
const LONG = {
  "500 bytes are kept": ["x".repeat(500), "x".repeat(500)],
  "501 bytes are cut to 500": ["x".repeat(501), `${"x".repeat(500)}...`],
  "two-byte characters are cut between two": [`x${"ä".repeat(300)}`, `x${"ä".repeat(249)}...`],
  "three-byte characters are cut between two": ["€".repeat(300), `${"€".repeat(166)}...`],
  "four-byte characters are cut between two": [`xxx${"🗼".repeat(200)}`, `xxx${"🗼".repeat(124)}...`],
  "white space around the text is left out": ["\n  too bad \r\n", "too bad"],
};

for (const [name, [body, expected]] of Object.entries(LONG)) {
  test(`of an error's text, ${name}`, async (t) => {
    const server = await scripted(t, { [PUT]: [{ status: 400, body }] });
    const sink = await sinkFor(t, server);
    const error = await rejection(() => sink.sync(aRequest()));
    assert.equal(error.message, cut(expected));
  });
}

test("an answer that is too long for any service is not asked for again, and says whose it may be", async (t) => {
  const long = { body: "x".repeat(2 ** 25 + 1) };
  for (const [stage, { route, call }] of Object.entries(STAGES)) {
    const server = await scripted(t, { [route]: [long, long, long] });
    const sink = await sinkFor(t, server);
    const error = await rejection(() => call(sink), { code: "bad_response", stage, attempts: 1, retryable: true });
    assert.match(error.message, /the answer is too long to be read\. Is `url` the project's own address\?$/);
    assert.equal(sentTo(server, route).length, 1);
  }
});
