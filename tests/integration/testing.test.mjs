// The project in memory that the package ships for its users' tests answers as the embedded one does, request by request.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createFakeProject } from "imagen-cloud/testing";
import { signJwt } from "../../supabase/keys.mjs";
import { startEmbedded } from "../support/embedded.mjs";

let sides;
let backend;

before(async () => {
  backend = await startEmbedded();
  const user = await backend.createUser();
  const other = await backend.createUser();
  const fake = createFakeProject();
  const others = fake.createUser();
  const expired = others.accessToken();
  others.expire();
  sides = {
    embedded: {
      ...{ fetch, url: backend.url, id: user.id, token: user.accessToken },
      ...{ key: backend.publishableKey, secret: backend.secretKey, other },
      expired: signJwt({ role: "authenticated", sub: user.id, exp: 1 }, backend.jwtSecret),
    },
    fake: {
      ...{ fetch: fake.fetch, url: fake.options.url, id: fake.user.id, token: fake.user.accessToken() },
      ...{ key: fake.options.apiKey, secret: fake.serverOptions.apiKey, expired },
      other: { id: others.id, accessToken: others.accessToken() },
    },
  };
});
after(() => backend?.close());

const base64 = (text) => Buffer.from(text).toString("base64");
const path = (name) => name.split("/").map(encodeURIComponent).join("/");
const object = (name, route = "object") => `/storage/v1/${route}/imagen-generated/${path(name)}`;
const json = (body) => ({ headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const rest = (method, body, headers = {}) => ({
  method,
  headers: { "accept-profile": "imagen", "content-profile": "imagen", "content-type": "application/json", ...headers },
  ...(body && { body: JSON.stringify(body) }),
});
const put = (type = "image/png") => ({
  method: "PUT",
  headers: { "content-type": type, "x-upsert": "true" },
  body: "bytes",
});
const row = (id, fields = {}) => ({
  id: randomUUID(),
  owner_user_id: id,
  prompt: "p",
  prompt_hash: createHash("sha256").update("p").digest("hex"),
  backend: "b",
  storage_path: `${id}/a.png`,
  ...fields,
});
const tus = (name, fields = {}) => ({
  method: "POST",
  headers: {
    "tus-resumable": "1.0.0",
    "x-upsert": "true",
    "upload-length": "10",
    "upload-metadata": `bucketName ${base64("imagen-generated")},objectName ${base64(name)},contentType ${base64(fields.type ?? "image/png")}`,
    ...fields.headers,
  },
});

const head = (id) => [
  `/storage/v1/upload/resumable/${id.replaceAll("=", "")}`,
  { method: "HEAD", headers: { "tus-resumable": "1.0.0" } },
];

/** A request, made for the side's user; what is compared are the status and the code. */
const REQUESTS = {
  "an upload": ({ id }) => [object(`${id}/a.png`), put()],
  "the same again": ({ id }) => [object(`${id}/a.png`), put()],
  "an upload without upsert of what is there": ({ id }) => [
    object(`${id}/a.png`),
    { ...put(), method: "POST", headers: { "content-type": "image/png" } },
  ],
  "an upload to another's folder": () => [object(`${randomUUID()}/a.png`), put()],
  "an upload of another type": ({ id }) => [object(`${id}/a.tiff`), put("image/tiff")],
  "an upload with an illegal character": ({ id }) => [object(`${id}/é.png`), put()],
  "an upload to a missing bucket": ({ id }) => [`/storage/v1/object/nothing/${id}/a.png`, put()],
  "what is known of an object": ({ id }) => [object(`${id}/a.png`, "object/info"), {}],
  "what is known of a missing one": ({ id }) => [object(`${id}/none.png`, "object/info"), {}],
  "a link": ({ id }) => [object(`${id}/a.png`, "object/sign"), { method: "POST", ...json({ expiresIn: 60 }) }],
  "a link for no time": ({ id }) => [
    object(`${id}/a.png`, "object/sign"),
    { method: "POST", ...json({ expiresIn: 0 }) },
  ],
  "a link to what is missing": ({ id }) => [
    object(`${id}/none.png`, "object/sign"),
    { method: "POST", ...json({ expiresIn: 60 }) },
  ],
  links: ({ id }) => [
    "/storage/v1/object/sign/imagen-generated",
    { method: "POST", ...json({ expiresIn: 60, paths: [`${id}/a.png`, `${id}/none.png`] }) },
  ],
  "a row": ({ id }) => ["/rest/v1/images", rest("POST", row(id), { prefer: "return=representation" })],
  "a row in another's name": ({ id }) => [
    "/rest/v1/images",
    rest("POST", row(randomUUID(), { storage_path: `${id}/a.png` })),
  ],
  "a row about another's folder": ({ id }) => ["/rest/v1/images", rest("POST", row(id, { storage_path: "x/a.png" }))],
  "a row without a hash": ({ id }) => ["/rest/v1/images", rest("POST", row(id, { prompt_hash: "x" }))],
  "a row without a prompt": ({ id }) => ["/rest/v1/images", rest("POST", row(id, { prompt: undefined }))],
  rows: ({ id }) => ["/rest/v1/images?select=id&limit=1", { ...rest("GET"), id }],
  "a missing column": () => ["/rest/v1/images?select=nothing", rest("GET")],
  "a missing table": () => ["/rest/v1/nothing?select=id", rest("GET")],
  "a schema that is not exposed": () => [
    "/rest/v1/images",
    { ...rest("GET"), headers: { "accept-profile": "studio" } },
  ],
  "a resumable upload": ({ id }) => ["/storage/v1/upload/resumable", tus(`${id}/b.png`)],
  "one to another's folder": () => ["/storage/v1/upload/resumable", tus(`${randomUUID()}/b.png`)],
  "one of another type": ({ id }) => ["/storage/v1/upload/resumable", tus(`${id}/b.tiff`, { type: "image/tiff" })],
  "one that is too large": ({ id }) => [
    "/storage/v1/upload/resumable",
    tus(`${id}/b.png`, { headers: { "upload-length": "104857601" } }),
  ],
  "one that nobody began": ({ id }) => head(base64(`stub/imagen-generated/${id}/x.png/${randomUUID()}`)),
  "one whose id is none": () => head("bm90aGluZw"),
  "the removal of an object": ({ id }) => [object(`${id}/a.png`), { method: "DELETE" }],
  "the same again, removed": ({ id }) => [object(`${id}/a.png`), { method: "DELETE" }],
};

async function ask(side, [target, { headers, ...init }], who = side.token, key = side.key) {
  const all = { apikey: key, authorization: `Bearer ${who}`, ...headers };
  const response = await side.fetch(new URL(target, side.url).href, { ...init, headers: all });
  const text = await response.text();
  const body = /^[{[]/.test(text) ? JSON.parse(text) : undefined;
  const keys = Array.isArray(body) ? body.map((each) => Object.keys(each).sort()) : undefined;
  const told = Object.fromEntries(TOLD.map((name) => [name, response.headers.get(name)]));
  const location = response.headers.get("location");
  const expires = Date.parse(response.headers.get("expires")) > Date.now();
  const answered = { status: response.status, code: body?.code, statusCode: body?.statusCode, keys, told, expires };
  return Object.defineProperties(answered, { location: { value: location }, body: { value: body } });
}

const TOLD = ["content-range", "content-disposition", "upload-offset", "upload-length", "tus-complete"];

for (const [what, make] of Object.entries(REQUESTS)) {
  test(`the fake project answers ${what} as the embedded one`, async () => {
    assert.deepEqual(await ask(sides.fake, make(sides.fake)), await ask(sides.embedded, make(sides.embedded)));
  });
}

const UPSERT = { "x-upsert": "true" };
const BYTES = { ...put(), body: "0123456789" };
const post = (body) => ({ method: "POST", ...json(body) });
const halfJson = { method: "POST", headers: { "content-type": "application/json" }, body: "{" };
const patch = (offset, body, headers = UPSERT) => ({
  method: "PATCH",
  headers: {
    "tus-resumable": "1.0.0",
    "content-type": "application/offset+octet-stream",
    "upload-offset": String(offset),
    ...headers,
  },
  body,
});
const removal = (headers) => ({ method: "DELETE", headers: { "tus-resumable": "1.0.0", ...headers } });
const RESUMABLE = "/storage/v1/upload/resumable";
const BATCH = "/storage/v1/object/sign/imagen-generated";

/** A resumable upload that was begun. */
async function begun(side, length = "10") {
  const headers = { "upload-length": length };
  return (await ask(side, [RESUMABLE, tus(`${side.id}/${randomUUID()}.png`, { headers })])).location;
}

/** One whose bytes have all arrived. */
async function finished(side) {
  const upload = await begun(side);
  await ask(side, [upload, patch(0, "0123456789")]);
  return upload;
}

/** The path of a link to an object of ten bytes. */
async function linked(side, name = "linked.png") {
  await ask(side, [object(`${side.id}/${name}`), BYTES]);
  const { body } = await ask(side, [object(`${side.id}/${name}`, "object/sign"), post({ expiresIn: 60 })]);
  return `/storage/v1${body.signedURL}`;
}

const tokens = (side, target, init) => ask(side, [target, init], side.expired);
const rows = (side, given, headers, query = "") => ask(side, [`/rest/v1/images${query}`, rest("POST", given, headers)]);
const away = (side) => [RESUMABLE, tus(`${side.id}/b.png`)];

/** The same of several requests, or of others than the user: the last answer is compared. */
const EXCHANGES = {
  "an expired token that reads what is known of an object": (side) =>
    tokens(side, object(`${side.id}/a.png`, "object/info"), {}),
  "an expired token that reads an object": (side) => tokens(side, object(`${side.id}/a.png`), {}),
  "an expired token that writes": (side) => tokens(side, object(`${side.id}/a.png`), put()),
  "an expired token that removes": (side) => tokens(side, object(`${side.id}/a.png`), { method: "DELETE" }),
  "an expired token that signs": (side) =>
    tokens(side, object(`${side.id}/a.png`, "object/sign"), post({ expiresIn: 9 })),
  "an expired token that signs many": (side) => tokens(side, BATCH, post({ expiresIn: 9, paths: ["a.png"] })),
  "an expired token that begins a resumable upload": (side) => tokens(side, ...away(side)),
  "an expired token that reads rows": (side) => tokens(side, "/rest/v1/images?limit=1", rest("GET")),
  "a user who removes another's object": async (side) => {
    await linked(side);
    return ask(side, [object(`${side.id}/linked.png`), { method: "DELETE" }], side.other.accessToken);
  },
  "a user who removes it among others": (side) => {
    const init = { ...post({ prefixes: [`${side.id}/linked.png`] }), method: "DELETE" };
    return ask(side, ["/storage/v1/object/imagen-generated", init], side.other.accessToken);
  },
  "a link for a second and a half": (side) =>
    ask(side, [object(`${side.id}/a.png`, "object/sign"), post({ expiresIn: 1.5 })]),
  "a link that is asked for by half a JSON": (side) => ask(side, [object(`${side.id}/a.png`, "object/sign"), halfJson]),
  "a link in a missing bucket": (side) =>
    ask(side, [`/storage/v1/object/sign/nothing/${side.id}/a.png`, post({ expiresIn: 9 })]),
  "links in a missing bucket": (side) =>
    ask(side, ["/storage/v1/object/sign/nothing", post({ expiresIn: 9, paths: ["a.png"] })]),
  "a link with an illegal character": (side) =>
    ask(side, [object(`${side.id}/é.png`, "object/sign"), post({ expiresIn: 9 })]),
  "links with an illegal character": (side) => ask(side, [BATCH, post({ expiresIn: 9, paths: ["é.png"] })]),
  "links to nothing": (side) => ask(side, [BATCH, post({ expiresIn: 9, paths: [] })]),
  "a thousand links": (side) => ask(side, [BATCH, post({ expiresIn: 9, paths: Array(1000).fill("a.png") })]),
  "a thousand links and one": (side) => ask(side, [BATCH, post({ expiresIn: 9, paths: Array(1001).fill("a.png") })]),
  "links that are asked for by half a JSON": (side) => ask(side, [BATCH, halfJson]),
  "a GET by a link": async (side) => ask(side, [await linked(side), {}]),
  "a GET of a part, to be saved": async (side) =>
    ask(side, [`${await linked(side)}&download=a%20b.png`, { headers: { range: "bytes=2-4" } }]),
  "a GET of the end of an object": async (side) =>
    ask(side, [object(`${side.id}/linked.png`), { headers: { range: "bytes=8-99" } }]),
  "a GET past the end": async (side) => ask(side, [await linked(side), { headers: { range: "bytes=10-" } }]),
  "a GET by junk": (side) => ask(side, [`${object(`${side.id}/linked.png`, "object/sign")}?token=junk`, {}]),
  "a GET by another object's link": async (side) => {
    const link = await linked(side);
    await linked(side, "other.png");
    return ask(side, [link.replace("linked.png?", "other.png?"), {}]);
  },
  "a resumable upload without its version": (side) => {
    const { headers, ...init } = tus(`${side.id}/b.png`);
    return ask(side, [RESUMABLE, { ...init, headers: { ...headers, "tus-resumable": "" } }]);
  },
  "one with an illegal character": (side) => ask(side, [RESUMABLE, tus(`${side.id}/é.png`)]),
  "one that is there at once": (side) => {
    const { headers, ...init } = tus(`${side.id}/b.png`);
    const whole = { ...headers, "content-type": "application/offset+octet-stream" };
    return ask(side, [RESUMABLE, { ...init, headers: whole, body: "0123456789" }]);
  },
  "a piece of it": async (side) => ask(side, [await begun(side), patch(0, "01234")]),
  "its last piece": async (side) => ask(side, [await begun(side), patch(0, "0123456789")]),
  "a piece at the wrong place": async (side) => ask(side, [await begun(side), patch(3, "34567")]),
  "more than was promised": async (side) => ask(side, [await begun(side, "5"), patch(0, "0123456789")]),
  "a piece from somebody else": async (side) =>
    ask(side, [await begun(side), patch(0, "01234")], side.other.accessToken),
  "how far somebody else's is": async (side) =>
    ask(side, [await begun(side), { method: "HEAD", headers: { "tus-resumable": "1.0.0" } }], side.other.accessToken),
  "the removal of somebody else's": async (side) => ask(side, [await begun(side), removal()], side.other.accessToken),
  "the removal of one that is not finished": async (side) => ask(side, [await begun(side), removal()]),
  "a piece behind the end": async (side) => ask(side, [await finished(side), patch(10, "")]),
  "a piece behind the end that overwrites nothing": async (side) =>
    ask(side, [await finished(side), patch(10, "", {})]),
  "how far a finished one is": async (side) =>
    ask(side, [await finished(side), { method: "HEAD", headers: { "tus-resumable": "1.0.0" } }]),
  "the removal of a finished one": async (side) => ask(side, [await finished(side), removal(UPSERT)]),
  "the removal of a finished one that overwrites nothing": async (side) => ask(side, [await finished(side), removal()]),
  "a last piece over an object, without a word on overwriting": async (side) => {
    await linked(side);
    const { location } = await ask(side, [RESUMABLE, tus(`${side.id}/linked.png`)]);
    return ask(side, [location, patch(0, "0123456789", {})]);
  },
  "rows of several columns": (side) => rows(side, [row(side.id), row(side.id, { model: "m" })]),
  "rows of the columns that are named": (side) =>
    rows(
      side,
      [row(side.id), row(side.id, { model: "m" })],
      { prefer: "missing=default,return=representation" },
      "?columns=id,owner_user_id,prompt,prompt_hash,backend,storage_path,model",
    ),
  "a row without an id": (side) => rows(side, row(side.id, { id: null })),
  "a row whose id is none": (side) => rows(side, row(side.id, { id: "x" })),
  "a row with half a step": (side) => rows(side, row(side.id, { steps: 1.5 })),
  "a row with too many steps": (side) => rows(side, row(side.id, { steps: 2 ** 31 })),
  "a row that is half a JSON": (side) => ask(side, ["/rest/v1/images", { ...rest("POST"), body: "{" }]),
  "a row that is there": async (side) => {
    const given = row(side.id);
    await rows(side, given);
    return rows(side, given);
  },
  "a row whose id another user has": async (side) => {
    const { id } = row(side.id);
    await rows(side, row(side.id, { id }));
    const given = row(side.other.id, { id });
    return ask(side, ["/rest/v1/images", rest("POST", given)], side.other.accessToken);
  },
  "a row that is there and is passed over": async (side) => {
    const given = row(side.id);
    await rows(side, given);
    return rows(side, given, { prefer: "resolution=ignore-duplicates,return=representation" }, "?on_conflict=id");
  },
  "a row that is to be merged": (side) =>
    rows(side, row(side.id), { prefer: "resolution=merge-duplicates" }, "?on_conflict=id"),
  "a row that is to be changed": (side) => ask(side, ["/rest/v1/images?prompt=eq.p", rest("PATCH", { prompt: "q" })]),
  "rows by an id that is none": (side) => ask(side, ["/rest/v1/images?id=eq.x", rest("GET")]),
  "a function that there is not": (side) => ask(side, ["/rest/v1/rpc/nothing", rest("POST", {})]),
  "a thumbnail that a server made": async (side) => {
    const sent = [object("server/x.png"), object("server/x.png.thumb"), object("server/y.png.thumb")];
    for (const target of sent) await ask(side, [target, put()], side.secret, side.secret);
    await ask(
      side,
      ["/rest/v1/images", rest("POST", row(side.id, { storage_path: "server/x.png" }))],
      side.secret,
      side.secret,
    );
    const paths = ["server/x.png", "server/x.png.thumb", "server/y.png.thumb"];
    const { body } = await ask(side, [BATCH, post({ expiresIn: 9, paths })]);
    return body.map(({ signedURL }) => signedURL !== null);
  },
  "a user who asks for what was left alone": (side) =>
    ask(side, ["/rest/v1/rpc/orphaned_objects?older_than=1%20day", rest("GET")]),
  "a server that asks for it": (side) =>
    ask(
      side,
      ["/rest/v1/rpc/orphaned_objects?older_than=0%20days&kind=eq.row&limit=1", rest("GET")],
      side.secret,
      side.secret,
    ),
  "a row whose path is too long": (side) =>
    rows(side, row(side.id, { storage_path: `${side.id}/${"a".repeat(1000)}` })),
  "nobody who reads rows": (side) => ask(side, ["/rest/v1/images", rest("GET")], side.key),
  "nobody who writes": (side) => ask(side, [object(`${side.id}/a.png`), put()], side.key),
};

for (const [what, exchange] of Object.entries(EXCHANGES)) {
  test(`the fake project answers ${what} as the embedded one`, async () => {
    assert.deepEqual(await exchange(sides.fake), await exchange(sides.embedded));
  });
}

test("the_fake_project_knows_who_asks_as_the_embedded_one_does", async () => {
  const rows = ["/rest/v1/images?select=id&limit=0", rest("GET")];
  for (const make of [
    (side) => [side.key, side.key],
    (side) => [side.secret, side.secret],
    () => ["sb_publishable_nonsense", "sb_publishable_nonsense"],
  ]) {
    const [fake, embedded] = await Promise.all(
      [sides.fake, sides.embedded].map((side) => ask(side, rows, ...make(side))),
    );
    assert.deepEqual(fake, embedded);
  }
});
