// Requests that try to get in where they don't belong. None may write anything, whatever it is answered.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { encode, fields, file, mint, PIXEL, startBench } from "./support.mjs";

const LIMIT = 400_000;
const UUID = "11111111-2222-4333-8444-555555555555";

let bench;
let user;
let other;
let othersImage;
before(async () => {
  bench = await startBench({
    MAX_BODY_BYTES: String(LIMIT),
    BODY_TIMEOUT_MS: "2000",
    ALLOWED_ORIGINS: "https://app.example",
  });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
  othersImage = await (await bench.post(other.accessToken)).json();
});
after(() => bench?.close());

/** Runs a request that has to be refused with this status and code and to leave everything as it was. */
async function refused(status, code, send) {
  const stored = await bench.snapshot();
  const answer = await send();
  const problem = await answer.json();
  assert.deepEqual({ status: answer.status, code: problem.code }, { status, code });
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(
    Object.keys(problem)
      .filter((key) => !["field", "imageId"].includes(key))
      .sort(),
    ["code", "detail", "requestId", "status", "title", "type"],
  );
  assert.equal(await bench.snapshot(), stored);
}

describe("further attacks", () => {
  const encoded = (value) =>
    Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
  const payload = (changes) =>
    encoded({ sub: user.id, aud: "authenticated", role: "authenticated", exp: 4102444800, ...changes });
  /** Signed with the project's own secret, whatever its header says. */
  const signed = (header, body = payload()) => {
    const text = `${encoded(header)}.${body}`;
    return `${text}.${createHmac("sha256", bench.supabase.jwtSecret).update(text).digest("base64url")}`;
  };
  const hmac = { alg: "HS256", typ: "JWT" };

  const unauthorized = {
    "a key in the header": () => signed({ alg: "ES256", jwk: { kty: "oct", k: "AAAA" } }),
    "a key's address in the header": () => signed({ alg: "RS256", jku: "https://evil.example/jwks.json", kid: "x" }),
    "a key id that is a path": () => mint("x".repeat(32), { kid: "../../../dev/null", sub: user.id }),
    "an algorithm that is a list": () => signed({ alg: ["HS256"] }),
    "an algorithm in small letters": () => signed({ alg: "hs256" }),
    "no algorithm": () => signed({ typ: "JWT" }),
    "an unencoded payload": () => signed({ ...hmac, b64: false, crit: ["b64"] }),
    "an empty crit": () => signed({ ...hmac, crit: [] }),
    "a header that is text": () => signed('"HS256"'),
    "a header with two algorithms, of which none comes last": () => signed('{"alg":"HS256","alg":"none"}'),
    "an empty signature": () => `${encoded(hmac)}.${payload()}.`,
    "a signature of zeros": () => `${encoded(hmac)}.${payload()}.${"A".repeat(43)}`,
    "an end that is text": () => signed(hmac, payload({ exp: "4102444800" })),
    "an end that is a list": () => signed(hmac, payload({ exp: [4102444800] })),
    "an end before 1970": () => signed(hmac, payload({ exp: -1 })),
    "an end of null": () => signed(hmac, payload({ exp: null })),
    "a start that is text": () => signed(hmac, payload({ nbf: "0" })),
    "an audience in capitals": () => signed(hmac, payload({ aud: "AUTHENTICATED" })),
    "an audience that begins alike": () => signed(hmac, payload({ aud: "authenticated2" })),
    "an audience that is an object": () => signed(hmac, payload({ aud: { authenticated: true } })),
    "an issuer with a path behind it": () => signed(hmac, payload({ iss: `${bench.front.url}/auth/v1/../x` })),
    "an issuer that is a list": () => signed(hmac, payload({ iss: [`${bench.front.url}/auth/v1`] })),
    "claims that are null": () => signed(hmac, encoded("null")),
    "claims that are no JSON": () => signed(hmac, encoded("{")),
    "a token of 17 kB": () => signed(hmac, payload({ app_metadata: "x".repeat(12_800) })),
    "another user's ticket": async () => (await ticketOf(other)).ticket,
    "one's own ticket": async () => (await ticketOf(user)).ticket,
    "a ticket's upload token": async () => (await ticketOf(user)).token,
  };
  for (const [name, make] of Object.entries(unauthorized)) {
    test(`a token with ${name} is refused`, async () => {
      const token = await make();
      await refused(401, "unauthorized", () => bench.post(token));
    });
  }

  const wish = (changes) => fields({ size: PIXEL.length, mimeType: "image/png", ...changes });
  const ticketOf = async ({ accessToken }) => (await bench.send("/api/tickets", accessToken, wish())).json();
  const tickets = {
    "a user's access token": () => user.accessToken,
    "the service key": () => bench.supabase.serviceKey,
    "another user's ticket": async () => (await ticketOf(other)).ticket,
    "a ticket whose size was raised": async () => {
      const [header, body, signature] = (await ticketOf(user)).ticket.split(".");
      const claims = { ...JSON.parse(Buffer.from(body, "base64url")), size: 1e9 };
      return [header, encoded(claims), signature].join(".");
    },
    "a ticket of no algorithm": async () => {
      const [, body] = (await ticketOf(user)).ticket.split(".");
      return `${encoded({ alg: "none", typ: "imagen-ticket+jwt" })}.${body}.`;
    },
    "a ticket signed with the JWT secret": async () => {
      const [, body] = (await ticketOf(user)).ticket.split(".");
      return signed({ ...hmac, typ: "imagen-ticket+jwt" }, body);
    },
    "an upload token": async () => (await ticketOf(user)).token,
    "9 kB of a ticket's beginning": () => "eyJ".repeat(3_000),
  };
  for (const [name, make] of Object.entries(tickets)) {
    test(`${name} is no ticket, neither for a commit nor for another one`, async () => {
      const id = encodeURIComponent(await make());
      await refused(403, "ticket_invalid", () => bench.send(`/api/tickets/${id}/commit`, user.accessToken, wish()));
      await refused(403, "ticket_invalid", () => bench.send(`/api/tickets/${id}/renew`, user.accessToken, {}));
    });
  }

  const sizes = {
    "of null": null,
    "as text": "70",
    "below one": 0,
    "less than nothing": -1,
    "with a half": 1.5,
    "past 2^53": 2 ** 53,
  };
  for (const [name, size] of Object.entries(sizes)) {
    test(`a ticket for a size ${name} is a bad request`, () =>
      refused(400, "invalid_request", () => bench.send("/api/tickets", user.accessToken, wish({ size }))));
  }
  test("a ticket for a size that JSON calls infinite is a bad request", () => {
    const json = JSON.stringify(wish()).replace(`"size":${PIXEL.length}`, '"size":1e999');
    return refused(400, "invalid_request", () => bench.send("/api/tickets", user.accessToken, json));
  });
  for (const mimeType of ["image/svg+xml", "IMAGE/PNG", "image/png;x=y", "__proto__", "constructor", "toString", ""]) {
    test(`a ticket for the type ${JSON.stringify(mimeType)} is refused`, () =>
      refused(415, "invalid_image", () => bench.send("/api/tickets", user.accessToken, wish({ mimeType }))));
  }
});

describe("texts without measure", () => {
  const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  /** What is logged of it. */
  async function linesOf(work) {
    await bench.allLogged();
    const before = bench.logs.length;
    await work();
    await bench.allLogged();
    return bench.logs.slice(before);
  }

  for (const kilobytes of [3, 11, 60, 100]) {
    test(`a token whose unknown crit has ${kilobytes} kB of beginnings of tokens is one short line in the log`, async () => {
      const name = "eyJ".repeat((kilobytes * 1000) / 4);
      const header = encoded({ alg: "HS256", crit: [name], [name]: 1 });
      const lines = await linesOf(() => refused(401, "unauthorized", () => bench.post(`${header}.e30.AAAA`)));
      assert.equal(lines.length, 1);
      assert.ok(lines[0].length < 2_000 && !lines[0].includes("eyJ"), lines[0]);
    });
  }

  test("a field's name of 255 kB is neither logged nor sent back", async () => {
    const request = JSON.stringify({ ...fields(), ["eyJ".repeat(85_000)]: 1 });
    let answered = "";
    const send = async () => {
      const answer = await bench.post(user.accessToken, { request });
      answered = await answer.clone().text();
      return answer;
    };
    const lines = await linesOf(() => refused(400, "invalid_request", send));
    assert.ok(answered.length < 2_500, `${answered.length}`);
    assert.equal(lines.length, 1);
    assert.ok(lines[0].length < 2_500, `${lines[0].length}`);
  });
});

describe("tokens", () => {
  const secret = () => bench.supabase.jwtSecret;
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = () => ({ sub: user.id, aud: "authenticated", role: "authenticated", exp: 4102444800 });
  const hour = 3600;
  const now = () => Math.floor(Date.now() / 1000);

  const unauthorized = {
    "no token": () => undefined,
    "an empty token": () => "",
    garbage: () => "garbage",
    "three parts of garbage": () => "a.b.c",
    "an expired token": () => mint(secret(), { sub: user.id, exp: now() - hour }),
    "a token without exp": () => mint(secret(), { sub: user.id, exp: undefined }),
    "a token of the future": () => mint(secret(), { sub: user.id, nbf: now() + hour }),
    "alg none": () => `${encode({ alg: "none", typ: "JWT" })}.${encode(claims())}.`,
    "alg none in capitals": () => `${encode({ alg: "NONE", typ: "JWT" })}.${encode(claims())}.`,
    "alg none with a real signature": () =>
      `${encode({ alg: "none" })}.${encode(claims())}.${user.accessToken.split(".")[2]}`,
    "another algorithm than the pinned one": () => mint(secret().padEnd(64, "x"), { alg: "HS512", sub: user.id }),
    "HS512 with the right secret": () => mint(secret(), { alg: "HS512", sub: user.id }),
    "the wrong key": () => mint("a-wrong-secret-that-is-long-enough-to-be-one", { sub: user.id }),
    "changed claims under the old signature": () => {
      const [header, , signature] = user.accessToken.split(".");
      return [header, encode({ ...claims(), sub: other.id }), signature].join(".");
    },
    "the wrong audience": () => mint(secret(), { sub: user.id, aud: "other" }),
    "no audience": () => mint(secret(), { sub: user.id, aud: undefined }),
    "another issuer": () => mint(secret(), { sub: user.id, iss: "https://evil.example/auth/v1" }),
    "a crit header that nobody knows": () =>
      `${encode({ alg: "HS256", crit: ["x"], x: 1 })}.${user.accessToken.split(".").slice(1).join(".")}`,
    "claims that are a list": () => `${encode({ alg: "HS256" })}.${encode([claims()])}.AAAA`,
    "a token with a fourth part": () => `${user.accessToken}.AAAA`,
    "an upload token of Storage's": async () => {
      const { data } = await bench.admin.storage.from("imagen-generated").createSignedUploadUrl(`${user.id}/x.png`);
      return data.token;
    },
    "a signed URL's token": async () => {
      const { storagePath } = othersImage;
      const { data } = await bench.admin.storage.from("imagen-generated").createSignedUrl(storagePath, 60);
      return new URL(data.signedUrl).searchParams.get("token");
    },
    "the anon key": () => bench.supabase.anonKey,
    "the service key": () => bench.supabase.serviceKey,
    "the publishable key": () => bench.supabase.publishableKey,
    "the secret key": () => bench.supabase.secretKey,
  };
  for (const [name, make] of Object.entries(unauthorized)) {
    test(`${name} is refused`, async () => {
      const token = await make();
      await refused(401, "unauthorized", () => bench.post(token));
    });
  }

  const forbidden = {
    "role anon": { role: "anon" },
    "role service_role": { role: "service_role" },
    "no role": { role: undefined },
    "an anonymous user": { is_anonymous: true },
    "a sub that is no UUID": { sub: "../../other" },
    "a sub in capitals": { sub: "AAAAAAAA-2222-4333-8444-555555555555" },
    "no sub": { sub: undefined },
    "a sub of another type": { sub: { id: UUID } },
    "a sub with a line break behind it": { sub: `${UUID}\n` },
    "a sub with a folder behind it": { sub: `${UUID}/../x` },
    "a list of roles": { role: ["authenticated"] },
    "an anonymous user in words": { is_anonymous: "true" },
  };
  for (const [name, changes] of Object.entries(forbidden)) {
    test(`a token with ${name} is refused`, async () => {
      const token = await mint(secret(), { sub: user.id, ...changes });
      await refused(403, "forbidden", () => bench.post(token));
    });
  }

  test("another scheme than Bearer is refused", () =>
    refused(401, "unauthorized", () => bench.post(undefined, {}, { authorization: `Basic ${user.accessToken}` })));

  test("a token in the query or a cookie is no token", () =>
    refused(401, "unauthorized", () =>
      bench.call(`/api/signed-url?path=${user.id}/a.png&access_token=${user.accessToken}`, {
        headers: { cookie: `sb-access-token=${user.accessToken}` },
      }),
    ));

  test("two Authorization headers are refused, whichever is the good one", async () => {
    for (const tokens of [
      [user.accessToken, "garbage"],
      ["garbage", user.accessToken],
      [user.accessToken, other.accessToken],
    ]) {
      const lines = tokens.map((token) => `Authorization: Bearer ${token}`);
      await refused(401, "unauthorized", () => raw(["GET /api/signed-url?path=a HTTP/1.1", ...lines]));
    }
  });

  test("the issuer's own iss is accepted", async () => {
    const token = await mint(secret(), { sub: user.id, iss: `${bench.front.url}/auth/v1` });
    const answer = await bench.post(token, { request: fields({ slug: "issuer" }) });
    assert.equal(answer.status, 201);
  });

  test("an anonymous user may where it is configured", async () => {
    const lenient = await startBench({ ALLOW_ANONYMOUS_USERS: "true" });
    try {
      const { id } = await lenient.supabase.createUser();
      const token = await mint(lenient.supabase.jwtSecret, { sub: id, is_anonymous: true });
      assert.equal((await lenient.post(token)).status, 201);
    } finally {
      await lenient.close();
    }
  });
});

describe("another user's path is not signed", () => {
  const paths = {
    plain: (path) => path,
    "with an encoded slash": (path) => path.replaceAll("/", "%2f"),
    "with its first letter encoded": (path) => `%${path.charCodeAt(0).toString(16)}${path.slice(1)}`,
    "double-encoded": (path) => encodeURIComponent(encodeURIComponent(path)),
    "with a slash before it": (path) => `/${path}`,
    "with a dot before it": (path) => `./${path}`,
    "in capitals": (path) => path.toUpperCase(),
    "with the bucket before it": (path) => `imagen-generated/${path}`,
    "out of one's own folder": (path) => `${user.id}/../${path}`,
    "out of one's own folder, encoded": (path) => `${user.id}/%2e%2e/${path}`,
    "out of one's own folder, half encoded": (path) => `${user.id}/.%2e/${path}`,
    "out of one's own folder, all encoded": (path) => `${user.id}%2f%2e%2e%2f${path.replaceAll("/", "%2f")}`,
    "out of one's own folder, double-encoded": (path) => `${user.id}/%252e%252e/${path}`,
    "out of one's own folder, thrice encoded": (path) => `${user.id}/%25252e%25252e/${path}`,
    "out of one's own folder by backslash": (path) => `${user.id}\\..\\${path}`,
    "out of one's own folder by encoded backslash": (path) => `${user.id}/..%5c${path}`,
    "behind an empty segment": (path) => `${user.id}//../${path}`,
    "behind a NUL": (path) => `${path}%00${user.id}/`,
    "in UTF-16's way": (path) => `${user.id}/%u002e%u002e/${path}`,
    "with a plus for a slash": (path) => path.replaceAll("/", "+"),
    "behind a question mark": (path) => encodeURIComponent(`?/${path}`),
    "as an absolute URL": (path) => encodeURIComponent(`https://evil.example/${path}`),
    "with an invisible letter before it": (path) => encodeURIComponent(`\ufeff${path}`),
    "with a space before it": (path) => `%20${path}`,
    "behind a line break": (path) => `${user.id}/%0d%0a${path}`,
  };
  for (const [name, make] of Object.entries(paths)) {
    test(name, () => refused(403, "not_yours", () => sign(make(othersImage.storagePath))));
  }

  const own = {
    "the own folder alone": () => user.id,
    "the own folder with a slash": () => `${user.id}/`,
    "the own folder in capitals": () => `${user.id.toUpperCase()}/a.png`,
    "a folder that starts like the own one": () => `${user.id}x/a.png`,
    "the own id behind a slash": () => `/${user.id}/a.png`,
    "a path that ends with a slash": () => `${user.id}/2026-05-11/`,
  };
  for (const [name, make] of Object.entries(own)) {
    test(name, () => refused(403, "not_yours", () => sign(make())));
  }

  test("of two paths none is signed", () =>
    refused(400, "invalid_request", () => sign(`${user.id}/a.png&path=${othersImage.storagePath}`)));
  test("no path is a bad request", () => refused(400, "invalid_request", () => sign("")));
  test("an own path without an object is not found", () =>
    refused(404, "object_missing", () => sign(`${user.id}/2026-05-11/none-1.png`)));
  test("dots that are none leave no folder", async () => {
    for (const dots of [encodeURIComponent("．．"), "%c0%ae%c0%ae", "%e2%80%a4%e2%80%a4"]) {
      await refused(400, "invalid_request", () => sign(`${user.id}/${dots}/${othersImage.storagePath}`));
    }
  });
  for (const ttl of ["0", "86401", "-1", "1.5", "1e3", "forever", "", "60&ttl=70"]) {
    test(`ttl=${ttl} is a bad request`, () =>
      refused(400, "invalid_request", () => sign(`${user.id}/2026-05-11/a-1.png&ttl=${ttl}`)));
  }

  const sign = (query) => {
    const headers = { authorization: `Bearer ${user.accessToken}` };
    return bench.call(`/api/signed-url?path=${query}`, { headers });
  };
});

describe("requests", () => {
  const post = (parts, headers) => bench.post(user.accessToken, parts, headers);

  for (const field of ["ownerUserId", "owner_user_id", "pathPrefix"]) {
    test(`an own ${field} is refused, even the right one`, async () => {
      for (const id of [other.id, user.id]) {
        await refused(400, "owner_not_allowed", () => post({ request: fields({ [field]: id }) }));
      }
    });
  }

  test("another user's imageId is refused before the bytes are stored", () =>
    refused(409, "id_taken", () => post({ request: fields({ slug: "mine", imageId: othersImage.imageId }) })));
  test("another user's imageId in capitals too", () =>
    refused(409, "id_taken", () => post({ request: fields({ imageId: othersImage.imageId.toUpperCase() }) })));

  const bad = {
    "a slug that leaves the folder": { slug: `../../${UUID}/a` },
    "a slug with an encoded way out": { slug: "..\\..\\a" },
    "a date that leaves the folder": { date: ".." },
    "an absolute slug": { slug: "/etc/passwd" },
    "a NUL in the slug": { slug: "a\0b" },
    "a slug with encoded dots": { slug: "%2e%2e/%2e%2e/a" },
    "a slug with dots encoded twice": { slug: "%252e%252e/a" },
    "a slug with full-width dots": { slug: "．．/a" },
    "a slug of half a surrogate": { slug: "a\ud800" },
    "an ext that leaves the folder": { ext: `/../../../${UUID}/a.png` },
    "a date with a line break": { date: "2026-05-11\r\nx-upsert: true" },
    "an unknown field": { colour: "red" },
    "a slug of 255 kB": { slug: "a".repeat(255_000) },
    "a model of 256 bytes": { model: "ü".repeat(128) },
    "a prompt over 64 KiB": { prompt: "灯".repeat(21_846) },
    "a sidecar over 128 KiB": { sidecar: { text: "a".repeat(131_072) } },
    "no prompt": { prompt: undefined },
    "a prompt of another type": { prompt: 7 },
    "a seed that is no integer": { seed: 1.5 },
    "a seed past 64 bits": { seed: "9223372036854775808" },
    "a seed that was rounded": { seed: 2 ** 53 },
    "a seed that is text": { seed: "forty-two" },
    "an imageId that is no UUID": { imageId: "1 or 1=1" },
    "an imageId that is a filter": { imageId: `${UUID}&select=*` },
    "a steps that is text": { steps: "4" },
    "an image in the JSON": { image: "data:image/png;base64,AAAA" },
  };
  for (const [name, changes] of Object.entries(bad)) {
    test(`${name} is a bad request`, () => refused(400, "invalid_request", () => post({ request: fields(changes) })));
  }

  const spellings = {
    "urn:uuid:": (id) => `urn:uuid:${id}`,
    braces: (id) => `{${id}}`,
    "no hyphens": (id) => id.replaceAll("-", ""),
    "hyphens elsewhere": (id) => id.replaceAll("-", "").replace(/(.{4})(?=.)/g, "$1-"),
    "white space around it": (id) => ` ${id}\n`,
    // Every id has a digit: its version.
    "full-width digits": (id) => id.replace(/\d/g, (digit) => "０１２３４５６７８９".charAt(Number(digit))),
  };
  for (const [name, spell] of Object.entries(spellings)) {
    test(`an imageId with ${name} is refused by name, in both ways, before anything is stored`, async () => {
      for (const id of [UUID, othersImage.imageId]) {
        const before = bench.front.requests.length;
        const changes = { imageId: spell(id) };
        await refused(400, "invalid_request", () => post({ request: fields(changes) }));
        const wish = fields({ ...changes, size: PIXEL.length, mimeType: "image/png" });
        await refused(400, "invalid_request", () => bench.send("/api/tickets", user.accessToken, wish));
        const sent = bench.front.requests.slice(before).filter(({ path }) => path.startsWith("/storage/"));
        assert.deepEqual(sent, []);
      }
    });
  }

  const OBJECTS = {
    "an object": {},
    "an object with a toString": { toString: 1, valueOf: 1 },
    "a list": ["x"],
    true: true,
  };
  for (const [name, value] of Object.entries(OBJECTS)) {
    test(`${name} in place of a text is refused by the field's name`, async () => {
      for (const field of [
        "imageId",
        "mimeType",
        "slug",
        "date",
        "prompt",
        "backend",
        "model",
        "ext",
        "seed",
        "size",
      ]) {
        const whole = fields({ size: PIXEL.length, mimeType: "image/png", [field]: value });
        const { size, ...request } = whole;
        const asks = [() => bench.send("/api/tickets", user.accessToken, whole)];
        if (field !== "size") asks.push(() => post({ request }));
        for (const send of asks) {
          const stored = await bench.snapshot();
          const answer = await send();
          const problem = await answer.json();
          assert.ok([400, 415].includes(answer.status), `${field}: ${answer.status} ${problem.detail}`);
          assert.equal(problem.field, field);
          assert.equal(await bench.snapshot(), stored);
        }
      }
    });
  }

  const malformed = {
    "no request": { request: null },
    "no image": { image: null },
    "an image that is text": { image: "data:image/png;base64,AAAA" },
    "an empty image": { image: file("") },
    "a third part": { extra: "x" },
    "a request that is not JSON": { request: "{" },
    "a request that is not in UTF-8": {
      request: new File([Buffer.from(JSON.stringify(fields({ prompt: "café" })), "latin1")], "request.json"),
    },
    "a request in UTF-16": { request: new File([Buffer.from(JSON.stringify(fields()), "utf16le")], "request.json") },
    "a request whose UTF-8 breaks off": {
      request: new File([Buffer.from('{"slug":"\u00e9').subarray(0, -1)], "x.json"),
    },
    "a request that is a list": { request: "[]" },
    "a request that is null": { request: "null" },
    "a sidecar too deep to be written": {
      request: JSON.stringify(fields({ sidecar: 0 })).replace(":0}", `:${"[".repeat(100_000)}${"]".repeat(100_000)}}`),
    },
    "a request with a prototype": { request: `{"__proto__":{"slug":"x"},${JSON.stringify(fields()).slice(1)}` },
    "a request with a constructor": { request: `{"constructor":{},${JSON.stringify(fields()).slice(1)}` },
  };
  for (const [name, parts] of Object.entries(malformed)) {
    test(`${name} is a bad request`, () => refused(400, "invalid_request", () => post(parts)));
  }

  test("a request that would fill the memory once it is parsed is too large", () =>
    refused(413, "too_large", () => post({ request: "[".repeat(300_000) })));
  test("two images are a bad request", async () => {
    const form = new FormData();
    form.append("request", JSON.stringify(fields()));
    for (const name of ["a.png", "b.png"]) form.append("image", file(PIXEL), name);
    const { body, headers } = await encode(form);
    await refused(400, "invalid_request", () => send(body, headers["content-type"]));
  });
  test("a multipart body that breaks off is a bad request", () =>
    refused(400, "invalid_request", () =>
      send("--x\r\nContent-Disposition: form-data; name=image", "multipart/form-data; boundary=x"),
    ));
  test("a multipart body of no byte is a bad request", () =>
    refused(400, "invalid_request", () => send("", "multipart/form-data; boundary=x")));
  test("a multipart body without a boundary is refused", () =>
    refused(400, "invalid_request", () => send("--x--", "multipart/form-data; x=y")));
  for (const type of ["application/json", "image/png", "application/x-www-form-urlencoded", "text/plain"]) {
    test(`a body of ${type} is refused`, () => refused(415, "unsupported_type", () => send("{}", type)));
  }

  const notImages = {
    "HTML declared as PNG": file("<!doctype html><script>alert(1)</script>"),
    SVG: file('<svg xmlns="http://www.w3.org/2000/svg"/>', { name: "a.svg", type: "image/svg+xml" }),
    "a PDF": file("%PDF-1.7", { type: "image/png" }),
    "a few bytes of nothing": file(new Uint8Array([1, 2, 3])),
  };
  for (const [name, image] of Object.entries(notImages)) {
    test(`${name} is refused`, () => refused(415, "invalid_image", () => post({ image })));
  }
  test("a PNG that is said to be HTML is refused", () =>
    refused(415, "invalid_image", () => post({ request: fields({ mimeType: "text/html" }) })));

  const head = (length, ...more) => [
    "POST /api/sync HTTP/1.1",
    "Content-Type: multipart/form-data; boundary=x",
    `Content-Length: ${length}`,
    ...more,
  ];
  test("a body over the limit is refused by its length, before a byte of it has come", () =>
    refused(413, "too_large", () => raw(head(LIMIT + 1, `Authorization: Bearer ${user.accessToken}`))));
  test("a body over the limit is refused without a length, before it has ended", () => {
    const [post, type] = head(0);
    const size = LIMIT + 1;
    const lines = [post, type, "Transfer-Encoding: chunked", `Authorization: Bearer ${user.accessToken}`];
    return refused(413, "too_large", () => raw(lines, `${size.toString(16)}\r\n${"x".repeat(size)}`));
  });
  test("without a token a body that is too long is not waited for, and another one only for its time", async () => {
    for (const length of [LIMIT + 1, 1000]) await refused(401, "unauthorized", () => raw(head(length)));
  });
  test("who is still sending hears of the refusal, on a line that stays open", async () => {
    for (const size of [20_000, LIMIT]) {
      const [post, type, length] = head(size);
      assert.deepEqual(await exchange([post, type, length], "x".repeat(size)), [401, 200]);
    }
  });

  const send = (body, type) =>
    bench.call("/api/sync", {
      method: "POST",
      body,
      headers: { authorization: `Bearer ${user.accessToken}`, "content-type": type },
    });
});

describe("origins and routes", () => {
  for (const origin of [
    "https://evil.example",
    "null",
    "http://app.example",
    "https://app.example.evil.example",
    "https://app.example:8443",
    "https://sub.app.example",
  ]) {
    test(`a page of ${origin} is refused, preflight and request`, async () => {
      const headers = { origin, "access-control-request-method": "POST" };
      await refused(403, "origin_not_allowed", async () => {
        const answer = await bench.call("/api/sync", { method: "OPTIONS", headers });
        assert.equal(answer.headers.get("access-control-allow-origin"), null);
        return answer;
      });
      await refused(403, "origin_not_allowed", () => bench.post(user.accessToken, {}, { origin }));
    });
  }

  test("other methods are refused and told the right one", async () => {
    for (const [method, path, allow] of [
      ["GET", "/api/sync", "POST"],
      ["PUT", "/api/sync", "POST"],
      ["DELETE", "/api/signed-url", "GET"],
      ["POST", "/api/health", "GET"],
      ["GET", "/api/tickets", "POST"],
      ["DELETE", "/api/tickets/x/commit", "POST"],
    ]) {
      await refused(405, "method_not_allowed", async () => {
        const answer = await bench.call(path, { method });
        assert.equal(answer.headers.get("allow"), allow);
        return answer;
      });
    }
  });

  test("other paths are not found", async () => {
    for (const path of ["/", "/api", "/api/", "/api/sync/", "/API/SYNC", "/api/tickets/x", "/api//sync"]) {
      await refused(404, "not_found", () => bench.call(path));
    }
  });

  test("headers that name another user or place change nothing", async () => {
    const headers = { "x-user-id": other.id, "x-forwarded-host": "evil.example", "x-original-url": "/api/health" };
    const answer = await bench.post(user.accessToken, { request: fields({ slug: "headers" }) }, headers);
    assert.equal(answer.status, 201);
    assert.ok((await answer.json()).storagePath.startsWith(`${user.id}/`));
  });
});

describe("smuggling", () => {
  const inner = () => {
    const form = [
      "--x",
      'Content-Disposition: form-data; name="request"',
      "",
      JSON.stringify(fields({ slug: "smuggled" })),
      "--x",
      'Content-Disposition: form-data; name="image"; filename="a.png"',
      "",
      PIXEL.toString("latin1"),
      "--x--",
      "",
    ].join("\r\n");
    const head = [
      "POST /api/sync HTTP/1.1",
      "Host: x",
      `Authorization: Bearer ${user.accessToken}`,
      "Content-Type: multipart/form-data; boundary=x",
      `Content-Length: ${form.length}`,
    ];
    return `${head.join("\r\n")}\r\n\r\n${form}`;
  };
  const authorization = () => `Authorization: Bearer ${user.accessToken}`;
  const post = "POST /api/sync HTTP/1.1";
  const type = "Content-Type: multipart/form-data; boundary=x";
  /** What would be a second request to a server that reads the first one in another way. */
  const ways = {
    "a length and chunks": (rest) => [
      [post, type, `Content-Length: ${rest.length + 5}`, "Transfer-Encoding: chunked"],
      `0\r\n\r\n${rest}`,
    ],
    "chunks and a length": (rest) => [
      [post, type, "Transfer-Encoding: chunked", `Content-Length: ${rest.length + 5}`],
      `0\r\n\r\n${rest}`,
    ],
    "two lengths": (rest) => [[post, type, "Content-Length: 0", `Content-Length: ${rest.length}`], rest],
    "a list of lengths": (rest) => [[post, type, `Content-Length: 0, ${rest.length}`], rest],
    "a length with a sign": (rest) => [[post, type, `Content-Length: +${rest.length}`], rest],
    "a length in hexadecimal": (rest) => [[post, type, `Content-Length: 0x${rest.length.toString(16)}`], rest],
    "an odd transfer encoding": (rest) => [[post, type, "Transfer-Encoding: xchunked", "Content-Length: 0"], rest],
    "a transfer encoding twice": (rest) => [
      [post, type, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
      `0\r\n\r\n${rest}`,
    ],
    "a space before the colon": (rest) => [[post, type, "Transfer-Encoding : chunked", "Content-Length: 0"], rest],
    "a header that goes on in the next line": (rest) => [
      [post, type, "X-A: b", "\tTransfer-Encoding: chunked", "Content-Length: 0"],
      rest,
    ],
    "an absolute target of another host": (rest) => [
      ["POST http://evil.example/api/sync HTTP/1.1", type, `Content-Length: ${rest.length}`],
      rest,
    ],
  };
  for (const [name, make] of Object.entries(ways)) {
    test(`${name} lets no second request in, and writes nothing`, async () => {
      const stored = await bench.snapshot();
      const [lines, body] = make(inner());
      // The outer request has no token: whatever is written would be the inner one's doing.
      const answers = await exchange(lines, Buffer.from(body, "latin1"));
      // workerd hangs up on some without a word, and comes to the health check after others.
      const refusals = answers.at(-1) === 200 ? answers.slice(0, -1) : answers;
      for (const status of refusals) assert.ok(status >= 400 && status < 500, `${answers}`);
      assert.equal(await bench.snapshot(), stored);
    });
  }

  test("no other header makes it another method, path, user or owner", async () => {
    const stored = await bench.snapshot();
    for (const header of [
      "X-HTTP-Method-Override: POST",
      "X-Original-URL: /api/sync",
      "X-Rewrite-URL: /api/sync",
      "X-Forwarded-Prefix: /api/sync",
      `Cookie: sb-access-token=${user.accessToken}`,
      `X-Authorization: Bearer ${user.accessToken}`,
      `Proxy-Authorization: Bearer ${user.accessToken}`,
      `apikey: ${bench.supabase.serviceKey}`,
    ]) {
      const [status] = await exchange([post, type, header, "Content-Length: 0"], "");
      assert.equal(status, 401, header);
      const [other] = await exchange(["GET /api/health HTTP/1.1", authorization(), header], "");
      assert.equal(other, 200, header);
    }
    assert.equal(await bench.snapshot(), stored);
  });

  test("a token with a line break in it reaches no header of another request", async () => {
    const answers = await exchange([post, type, `${authorization()}\r\n X: y`, "Content-Length: 0"], "");
    assert.ok(answers[0] >= 400);
  });
});

test("not one of these requests made the Worker send Supabase anything to store under another's name", async () => {
  const { objects, rows } = JSON.parse(await bench.snapshot());
  const own = new Set([user.id, other.id]);
  assert.ok(rows.every((row) => own.has(row.owner_user_id) && row.storage_path.startsWith(`${row.owner_user_id}/`)));
  // A ticket's place, where nobody reads, names its user too.
  const ownerOf = (name) => name.replace(/^\.incoming\//, "").slice(0, user.id.length);
  assert.ok(objects.every(({ name }) => own.has(ownerOf(name))));
});

/** A request that fetch would not send as it stands. */
function raw(lines, body = "") {
  const { hostname, port } = new URL(bench.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write([...lines, `Host: ${hostname}:${port}`, "Connection: close", "", body].join("\r\n"));
    });
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [head, json] = text.split("\r\n\r\n");
      const type = /^content-type: *(.*)$/im.exec(head)?.[1];
      const status = Number(head.split(" ")[1]);
      // A chunked body has its sizes between; the JSON is in one chunk.
      resolve(
        new Response(json.slice(json.indexOf("{"), json.lastIndexOf("}") + 1), {
          status,
          headers: { "content-type": type },
        }),
      );
    });
  });
}

/** The statuses of all answers to what is sent on one connection, which is left open for more. */
function exchange(lines, body) {
  const { hostname, port } = new URL(bench.url);
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${[...lines, `Host: ${hostname}:${port}`].join("\r\n")}\r\n\r\n`);
      socket.write(body);
      // An end to what is read: a request of its own, after everything that might count as one.
      socket.end("\r\nGET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    });
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))));
  });
}
