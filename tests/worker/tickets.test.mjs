// Large images: the page uploads by a ticket, and a commit makes the upload an image.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Upload } from "tus-js-client";
import { withCredentials } from "../support/images.mjs";
import { until } from "../support/until.mjs";
import { BUCKET, fields, mint, PNG, pngOf, putUpload, startBench } from "./support.mjs";

let bench;
let user;
let other;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5" });
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
});
after(() => bench?.close());

const wish = (changes) => fields({ slug: randomUUID(), size: PNG.length, mimeType: "image/png", ...changes });
const ask = (request, token = user.accessToken) => bench.send("/api/tickets", token, request);
const commit = ({ ticket }, request, token = user.accessToken, query = "") =>
  bench.send(`/api/tickets/${ticket}/commit${query}`, token, request);

/** A request, its ticket, and the ticket's upload done. */
async function uploaded(changes, bytes = PNG) {
  const request = wish(changes);
  const ticket = await (await ask(request)).json();
  assert.equal((await putUpload(ticket, bytes, request.mimeType)).status, 200);
  return { request, ticket };
}

async function stored(path) {
  const { data } = await bench.admin.storage.from(BUCKET).download(path);
  return data && Buffer.from(await data.arrayBuffer());
}

async function answer(response) {
  const { code, detail, ...body } = await response.json();
  return { status: response.status, ...(code === undefined ? body : { code }) };
}

const objects = async (folder) => {
  const names = JSON.parse(await bench.snapshot()).objects.map(({ name }) => name);
  return names.filter((name) => name.startsWith(folder));
};

test("an image goes to a path of its own first, and a commit makes it an image", async () => {
  const request = wish({ model: "m", seed: "9007199254740993" });
  const asked = await ask(request);
  const ticket = await asked.json();
  assert.equal(asked.status, 201);
  assert.equal(ticket.path, `.incoming/${user.id}.${ticket.imageId}`);
  assert.equal(ticket.storagePath, `${user.id}/2026-05-11/${request.slug}-9007199254740993.png`);
  assert.ok(ticket.expiresAt > Date.now());
  await putUpload(ticket, PNG);
  assert.equal(await stored(ticket.storagePath), null);

  const done = await commit(ticket, request);
  assert.deepEqual(await answer(done), { status: 201, storagePath: ticket.storagePath, imageId: ticket.imageId });
  assert.deepEqual(await stored(ticket.storagePath), PNG);
  assert.deepEqual(await objects(`.incoming/${user.id}`), []);
  const [row] = await bench.supabase.sql(
    "select owner_user_id, storage_path, model, seed::text, width, height from imagen.images where id = $1",
    [ticket.imageId],
  );
  assert.deepEqual(row, {
    owner_user_id: user.id,
    storage_path: ticket.storagePath,
    model: "m",
    seed: "9007199254740993",
    width: 320,
    height: 240,
  });
});

test("the upload may go by TUS, and on with a renewed ticket's token", async () => {
  const bytes = pngOf(3 * 1024 * 1024);
  const request = wish({ size: bytes.length });
  let ticket = await (await ask(request)).json();
  const metadata = { bucketName: ticket.bucket, objectName: ticket.path, contentType: "image/png" };
  let renewals = 0;
  await new Promise((resolve, reject) => {
    const upload = new Upload(bytes, {
      endpoint: ticket.resumableUrl,
      chunkSize: 1024 * 1024,
      metadata,
      retryDelays: null,
      onBeforeRequest: (request) => request.setHeader("x-signature", ticket.token),
      onChunkComplete: async (_, accepted) => {
        if (renewals > 0 || accepted === bytes.length) return;
        renewals = 1;
        await upload.abort();
        ticket = await (await bench.send(`/api/tickets/${ticket.ticket}/renew`, user.accessToken, {})).json();
        upload.start();
      },
      onError: reject,
      onSuccess: resolve,
    });
    upload.start();
  });
  assert.equal(renewals, 1);
  assert.equal((await commit(ticket, request)).status, 201);
  assert.deepEqual(await stored(ticket.storagePath), bytes);
});

test("every type has its ending", async () => {
  for (const [type, ext] of Object.entries({ jpeg: "jpg", webp: "webp", avif: "avif", gif: "gif" })) {
    const { storagePath } = await (await ask(wish({ mimeType: `image/${type}` }))).json();
    assert.match(storagePath, new RegExp(`\\.${ext}$`));
  }
});

test("an animated PNG is a PNG, and a progressive JPEG a JPEG, whatever they are called", async () => {
  for (const [called, ext] of [
    ["apng", "png"],
    ["pjpeg", "jpg"],
  ]) {
    const { storagePath } = await (await ask(wish({ mimeType: `image/${called}` }))).json();
    assert.match(storagePath, new RegExp(`\\.${ext}$`));
  }
});

test("a size behind 1.8 MB of Content Credentials is found, and little of the image read", async () => {
  const jpeg = readFileSync(new URL("../data/lighthouse.jpg", import.meta.url));
  const bytes = withCredentials(jpeg);
  const mimeType = "image/jpeg";
  const { request, ticket } = await uploaded({ size: bytes.length, mimeType }, bytes);
  const ranges = [];
  const before = bench.front.requests.length;
  bench.front.before = ({ method, path, headers }) => {
    if (method !== "GET" || !headers.range) return;
    const [from, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range).slice(1).map(Number);
    ranges.push({ path, from, last });
  };
  try {
    assert.equal((await commit(ticket, request, user.accessToken, "?ttl=60")).status, 201);
  } finally {
    bench.front.before = undefined;
  }
  const [row] = await bench.supabase.sql("select width, height from imagen.images where id = $1", [ticket.imageId]);
  assert.deepEqual(row, { width: 320, height: 240 });
  // The upload's head is looked at, and then the copy of it that nobody else can reach.
  assert.equal(ranges.filter(({ path }) => path.endsWith(`/${ticket.path}`)).length, 1);
  for (const path of new Set(ranges.map(({ path }) => path))) {
    const pieces = ranges.filter((range) => range.path === path);
    assert.ok(pieces.length <= 8, JSON.stringify(pieces));
    for (const { from, last } of pieces) assert.ok(last - from < 512 * 1024, `${from}-${last}`);
    assert.equal(new Set(pieces.map(({ from }) => from)).size, pieces.length, "each piece is read once");
  }
  const requests = bench.front.requests.slice(before);
  assert.ok(requests.length <= 18, `${requests.length} requests, of the 50 that Cloudflare's free plan allows`);
});

test("a Storage that fails while the upload is looked at is no fault of the image", async () => {
  const { request, ticket } = await uploaded();
  bench.front.lose = ({ method, path }) => method === "GET" && path.startsWith(`/storage/v1/object/${BUCKET}/`);
  try {
    const { status, code } = await answer(await commit(ticket, request));
    assert.deepEqual({ status, code }, { status: 503, code: "unavailable" });
  } finally {
    bench.front.lose = undefined;
  }
  assert.equal((await commit(ticket, request)).status, 201);
});

for (const [name, status, type, text] of [
  ["a 404 of a gateway's page", 404, "text/html", "<h1>no such project</h1>"],
  [
    "a 404 of a gateway that knows no such route",
    404,
    "application/json",
    '{"message":"no Route matched with those values"}',
  ],
  [
    "a 404 of a key that is no good any more",
    400,
    "application/json",
    '{"statusCode":"404","error":"Bucket not found","message":"Bucket not found","code":"NoSuchBucket"}',
  ],
  ["a 200 of a gateway's page", 200, "text/html", "<h1>We are back soon</h1>"],
  ["a 200 of a gateway's JSON", 200, "application/json", '{"message":"We are back soon"}'],
]) {
  test(`${name} says nothing of the upload, which is not sent again for it`, async () => {
    for (const isMeant of [
      ({ method, path }) => method === "GET" && path.includes("/object/info/"),
      ({ method, path }) => method === "GET" && path.startsWith(`/storage/v1/object/${BUCKET}/.incoming/`),
      ({ path }) => path.endsWith("/object/copy"),
      lastCopy(),
    ]) {
      const { request, ticket } = await uploaded();
      bench.front.before = async (request, response) => {
        if (isMeant(request)) response.writeHead(status, { "content-type": type }).end(text);
      };
      try {
        const { status, code } = await answer(await commit(ticket, request));
        assert.ok(status >= 502 && /^(upstream_refused|unavailable)$/.test(code), `${status} ${code}`);
      } finally {
        bench.front.before = undefined;
      }
      const done = await answer(await commit(ticket, request));
      assert.equal(done.status, 201);
      assert.deepEqual(await stored(done.storagePath), PNG);
    }
  });
}

/** The one that makes the image, of the two copies that a commit has made. */
function lastCopy() {
  let copies = 0;
  return ({ path }) => path.endsWith("/object/copy") && ++copies > 1;
}

test("a second commit is answered like the first, also when both come at once", async () => {
  const { request, ticket } = await uploaded();
  const twice = await Promise.all([commit(ticket, request), commit(ticket, request)]);
  const again = await commit(ticket, request);
  const expected = { status: 201, storagePath: ticket.storagePath, imageId: ticket.imageId };
  for (const response of [...twice, again]) assert.deepEqual(await answer(response), expected);
  const rows = await bench.supabase.sql("select id from imagen.images where id = $1", [ticket.imageId]);
  assert.equal(rows.length, 1);
});

test("the upload token, used again after the commit, can't touch the image, not by another commit either", async () => {
  const { request, ticket } = await uploaded();
  assert.equal((await commit(ticket, request)).status, 201);
  const evil = pngOf(PNG.length);
  assert.equal((await putUpload(ticket, evil)).status, 200);
  assert.deepEqual(await stored(ticket.storagePath), PNG);
  assert.equal((await commit(ticket, request)).status, 201);
  assert.deepEqual(await stored(ticket.storagePath), PNG);
  assert.deepEqual(await objects(ticket.path), []);
});

test("an upload that is replaced while it is committed does not become the image", async () => {
  for (const evil of [pngOf(PNG.length), Buffer.alloc(PNG.length, "<script>")]) {
    const { request, ticket } = await uploaded();
    let copies = 0;
    bench.front.before = async ({ path }) => {
      // The first copy is what is looked at, the second one the image.
      if (path.endsWith("/object/copy") && ++copies === 2) await putUpload(ticket, evil);
    };
    assert.equal((await commit(ticket, request)).status, 201);
    bench.front.before = undefined;
    assert.equal(copies, 2);
    assert.deepEqual(await stored(ticket.storagePath), PNG);
    assert.deepEqual(await objects(ticket.path), []);
  }
});

test("an upload that is replaced before it is looked at is what is looked at, and leaves an earlier image alone", async () => {
  const first = await uploaded();
  assert.equal((await commit(first.ticket, first.request)).status, 201);
  const { request, ticket } = await uploaded({ slug: first.request.slug });
  assert.equal(ticket.storagePath, first.ticket.storagePath);
  bench.front.before = async ({ path }) => {
    if (!path.endsWith("/object/copy")) return;
    bench.front.before = undefined;
    await putUpload(ticket, Buffer.alloc(PNG.length, "<script>"));
  };
  assert.deepEqual(await answer(await commit(ticket, request)), { status: 415, code: "invalid_image" });
  assert.deepEqual(await stored(ticket.storagePath), PNG);
  assert.deepEqual(await objects(ticket.path), [], "it is removed at once");
});

test("a commit that loses every other answer arrives all the same, once", async () => {
  for (let lost = 0; lost < 10; lost++) {
    const { request, ticket } = await uploaded();
    let requests = 0;
    bench.front.lose = () => requests++ === lost;
    let last;
    for (let tries = 0; tries < 5 && last?.status !== 201; tries++) {
      last = await commit(ticket, request);
      assert.ok([201, 503].includes(last.status), `${last.status}`);
    }
    bench.front.lose = undefined;
    assert.equal(last.status, 201);
    assert.deepEqual(await stored(ticket.storagePath), PNG);
    const rows = await bench.supabase.sql("select id from imagen.images where storage_path = $1", [ticket.storagePath]);
    assert.equal(rows.length, 1);
  }
});

test("a client that goes away has its commit ended all the same", async () => {
  const { request, ticket } = await uploaded();
  const gone = new AbortController();
  bench.front.before = async ({ path }) => {
    if (!path.endsWith("/object/copy") || gone.signal.aborted) return;
    gone.abort();
    // workerd has heard of it by the time it answers another request.
    await bench.call("/api/health");
  };
  try {
    const init = { method: "POST", headers: { authorization: `Bearer ${user.accessToken}` }, signal: gone.signal };
    init.headers["content-type"] = "application/json";
    const body = JSON.stringify(request);
    await assert.rejects(fetch(`${bench.url}/api/tickets/${ticket.ticket}/commit`, { ...init, body }));
    const rows = () => bench.supabase.sql("select id from imagen.images where id = $1", [ticket.imageId]);
    await until(async () => (await rows()).length === 1, "its row");
    await until(async () => (await objects(ticket.path)).length === 0, "its upload to be taken away");
  } finally {
    bench.front.before = undefined;
  }
});

test("while Supabase is down a ticket and a commit are told to come again", async () => {
  const { request, ticket } = await uploaded();
  bench.front.down = true;
  try {
    for (const response of [await ask(wish()), await commit(ticket, request)]) {
      assert.match(response.headers.get("retry-after"), /^\d+$/);
      assert.deepEqual(await answer(response), { status: 503, code: "unavailable" });
    }
  } finally {
    bench.front.down = false;
  }
  assert.equal((await commit(ticket, request)).status, 201);
});

describe("refused, and nothing written:", () => {
  async function refused(status, code, send) {
    const before = await bench.snapshot();
    assert.deepEqual(await answer(await send()), { status, code });
    assert.equal(await bench.snapshot(), before);
  }

  test("no token", () => refused(401, "unauthorized", () => ask(wish(), "")));
  test("another type of body", () =>
    refused(415, "unsupported_type", () =>
      bench.call("/api/tickets", {
        method: "POST",
        body: "{}",
        headers: { authorization: `Bearer ${user.accessToken}` },
      }),
    ));

  const bad = {
    "no size": { size: undefined },
    "a size of nothing": { size: 0 },
    "a size that is text": { size: "12" },
    "half a byte": { size: 1.5 },
    "a slug that leaves the folder": { slug: `../../${randomUUID()}/a` },
    "an unknown field": { colour: "red" },
    "an image in the JSON": { image: "AAAA" },
    "an imageId that leaves the folder": { imageId: "../../a" },
  };
  for (const [name, changes] of Object.entries(bad)) {
    test(name, () => refused(400, "invalid_request", () => ask(wish(changes))));
  }
  test("another owner", () => refused(400, "owner_not_allowed", () => ask(wish({ ownerUserId: other.id }))));
  test("HTML", () => refused(415, "invalid_image", () => ask(wish({ mimeType: "text/html" }))));
  test("an inherited name for a type", () => refused(415, "invalid_image", () => ask(wish({ mimeType: "toString" }))));
  test("too large an image", () => refused(413, "too_large", () => ask(wish({ size: 2 ** 40 }))));
  test("an empty body", () => refused(400, "invalid_request", () => ask("")));
  test("a JSON without an end", () => refused(400, "invalid_request", () => ask("{")));
  test("a JSON over the limit", () => refused(413, "too_large", () => ask(wish({ prompt: "x".repeat(300_000) }))));
  test("another's imageId", async () => {
    const { imageId } = await (await bench.post(other.accessToken, { request: fields({ slug: randomUUID() }) })).json();
    for (const id of [imageId, imageId.toUpperCase()]) {
      await refused(409, "id_taken", () => ask(wish({ imageId: id })));
    }
  });

  test("another's ticket, committed or renewed", async () => {
    const { request, ticket } = await uploaded();
    await refused(403, "ticket_invalid", () => commit(ticket, request, other.accessToken));
    const renew = () => bench.send(`/api/tickets/${ticket.ticket}/renew`, other.accessToken, {});
    await refused(403, "ticket_invalid", renew);
  });

  test("a ticket made by somebody else", async () => {
    const { request, ticket } = await uploaded();
    const claims = JSON.parse(Buffer.from(ticket.ticket.split(".")[1], "base64url"));
    const [header, , signature] = ticket.ticket.split(".");
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forged = [
      "garbage",
      await mint(bench.supabase.serviceKey, claims),
      await mint(bench.supabase.jwtSecret, { ...claims, typ: "imagen-ticket+jwt" }),
      [header, encode({ ...claims, size: 1 }), signature].join("."),
      [encode({ alg: "none", typ: "imagen-ticket+jwt" }), encode(claims), ""].join("."),
      user.accessToken,
    ];
    for (const text of forged) {
      await refused(403, "ticket_invalid", () => commit({ ticket: text }, request));
    }
  });

  test("a ticket for a token, and an upload token for a ticket", async () => {
    const { request, ticket } = await uploaded();
    await refused(401, "unauthorized", () => ask(wish(), ticket.ticket));
    await refused(403, "ticket_invalid", () => commit({ ticket: ticket.token }, request));
  });

  test("another request than the ticket's", async () => {
    const { request, ticket } = await uploaded();
    for (const changes of [{ slug: "other" }, { date: "2020-01-01" }, { seed: 7 }, { imageId: randomUUID() }]) {
      await refused(400, "invalid_request", () => commit(ticket, { ...request, ...changes }));
    }
  });

  test("a commit of nothing", async () => {
    const request = wish();
    const ticket = await (await ask(request)).json();
    await refused(409, "not_uploaded", () => commit(ticket, request));
  });

  /** Refused for what was uploaded, which does not stay. */
  async function refusedAndRemoved(status, code, ticket, request) {
    const parse = async () => JSON.parse(await bench.snapshot());
    const before = await parse();
    assert.deepEqual(await answer(await commit(ticket, request)), { status, code });
    assert.deepEqual(await parse(), { ...before, objects: before.objects.filter(({ name }) => name !== ticket.path) });
  }

  test("an upload of another size or type than the ticket's is removed at once", async () => {
    const longer = await uploaded({}, pngOf(PNG.length + 1));
    await refusedAndRemoved(409, "upload_mismatch", longer.ticket, longer.request);
    const request = wish();
    const ticket = await (await ask(request)).json();
    await putUpload(ticket, PNG, "image/gif");
    await refusedAndRemoved(409, "upload_mismatch", ticket, request);
  });

  test("an upload that is no image, or one of another type than it says, is removed at once", async () => {
    for (const [mimeType, bytes] of [
      ["image/png", Buffer.from("<!doctype html><script>alert(1)</script>")],
      ["image/webp", PNG],
    ]) {
      const { request, ticket } = await uploaded({ mimeType, size: bytes.length }, bytes);
      await refusedAndRemoved(415, "invalid_image", ticket, request);
    }
  });

  test("a URL of what has only been uploaded", async () => {
    const { ticket } = await uploaded();
    const headers = { authorization: `Bearer ${user.accessToken}` };
    await refused(403, "not_yours", () => bench.call(`/api/signed-url?path=${ticket.path}`, { headers }));
  });
});

test("an expired ticket is told so, and renewed for the same upload, by its user only", async () => {
  const brief = await startBench({ TICKET_TTL_SECONDS: "0" });
  try {
    const user = await brief.supabase.createUser();
    const other = await brief.supabase.createUser();
    const request = wish();
    const old = await (await brief.send("/api/tickets", user.accessToken, request)).json();
    await putUpload(old, PNG);
    const commit = (token) => brief.send(`/api/tickets/${old.ticket}/commit`, token, request);
    assert.deepEqual(await answer(await commit(user.accessToken)), { status: 410, code: "ticket_expired" });
    assert.deepEqual(await answer(await commit(other.accessToken)), { status: 403, code: "ticket_invalid" });
    const renew = (token) => brief.send(`/api/tickets/${old.ticket}/renew`, token, {});
    assert.deepEqual(await answer(await renew(other.accessToken)), { status: 403, code: "ticket_invalid" });
    const renewed = await renew(user.accessToken);
    assert.equal(renewed.status, 201);
    const { path, imageId, storagePath } = await renewed.json();
    assert.deepEqual(
      { path, imageId, storagePath },
      { path: old.path, imageId: old.imageId, storagePath: old.storagePath },
    );
  } finally {
    await brief.close();
  }
});

test("no ticket, upload token or URL is in the log", async () => {
  const { request, ticket } = await uploaded();
  await commit(ticket, request);
  await commit({ ticket: `${ticket.ticket}x` }, request);
  await bench.allLogged();
  const log = bench.logs.join("\n");
  for (const secret of [ticket.ticket, ticket.token, ticket.path, bench.supabase.serviceKey]) {
    assert.ok(!log.includes(secret));
  }
  assert.match(log, /"route":"\/api\/tickets\/:id\/commit","status":201/);
});

test("twenty commits for an upload that is not what the ticket says copy nothing", async () => {
  const wrong = [
    await uploaded({ size: PNG.length + 1 }),
    await uploaded({}, Buffer.alloc(PNG.length, "<!doctype html>")),
  ];
  const before = bench.front.requests.length;
  for (const { ticket, request } of wrong) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => commit(ticket, request)));
    for (const { status } of answers) assert.ok(status === 409 || status === 415, `${status}`);
  }
  const copies = bench.front.requests.slice(before).filter(({ path }) => path.endsWith("/object/copy"));
  assert.deepEqual(copies, []);
});

test("of tickets that a user asks for at once no more are given than uploads may wait for their commit", async () => {
  const bounded = await startBench({ SYNC_BACKOFF_MS: "5", MAX_OPEN_UPLOADS: "3" });
  try {
    const one = await bounded.supabase.createUser();
    const ask = async (request) => (await bounded.send("/api/tickets", one.accessToken, request)).status;
    const wishes = Array.from({ length: 12 }, () => wish({ imageId: randomUUID() }));
    const given = (await Promise.all(wishes.map(ask))).filter((status) => status === 201).length;
    assert.ok(given <= 3, `${given} tickets`);
    // Some may have stood in each other's way: who comes again gets what is left.
    for (const request of wishes) await ask(request);
    const names = await bounded.supabase.sql("select name from storage.objects where name like '.incoming/%'");
    assert.equal(names.length, 3);
  } finally {
    await bounded.close();
  }
});

test("a user's uploads that wait for their commit are bounded, and one of them may be asked for again", async () => {
  const bounded = await startBench({ SYNC_BACKOFF_MS: "5", MAX_OPEN_UPLOADS: "3" });
  try {
    const [one, two] = [await bounded.supabase.createUser(), await bounded.supabase.createUser()];
    const get = async (owner, request) => {
      const response = await bounded.send("/api/tickets", owner.accessToken, request);
      return { status: response.status, ...(await response.json()) };
    };
    const open = [];
    for (let i = 0; i < 3; i++) {
      const request = wish({ imageId: randomUUID() });
      const ticket = await get(one, request);
      assert.equal((await putUpload(ticket, PNG)).status, 200);
      open.push({ request, ticket });
    }
    const refused = await get(one, wish());
    assert.deepEqual([refused.status, refused.code], [429, "rate_limited"]);
    assert.equal((await get(one, open[1].request)).status, 201);
    assert.equal((await get(two, wish())).status, 201);
    const [{ request, ticket }] = open;
    const done = await bounded.send(`/api/tickets/${ticket.ticket}/commit`, one.accessToken, request);
    assert.equal(done.status, 201);
    assert.equal((await get(one, wish())).status, 201);
  } finally {
    await bounded.close();
  }
});
