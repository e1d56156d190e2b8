// The project in memory that the package ships for its users' tests answers as the embedded one does, request by request.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createFakeProject } from "imagen-cloud/testing";
import { startEmbedded } from "../support/embedded.mjs";

let sides;
let backend;

before(async () => {
  backend = await startEmbedded();
  const user = await backend.createUser();
  const fake = createFakeProject();
  sides = {
    embedded: {
      ...{ fetch, url: backend.url, id: user.id, token: user.accessToken },
      ...{ key: backend.publishableKey, secret: backend.secretKey },
    },
    fake: {
      ...{ fetch: fake.fetch, url: fake.options.url, id: fake.user.id, token: fake.user.accessToken() },
      ...{ key: fake.options.apiKey, secret: fake.serverOptions.apiKey },
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
  const response = await side.fetch(`${side.url}${target}`, { ...init, headers: all });
  const text = await response.text();
  const body = /^[{[]/.test(text) ? JSON.parse(text) : undefined;
  const keys = Array.isArray(body) ? body.map((each) => Object.keys(each).sort()) : undefined;
  return { status: response.status, code: body?.code, statusCode: body?.statusCode, keys };
}

for (const [what, make] of Object.entries(REQUESTS)) {
  test(`the fake project answers ${what} as the embedded one`, async () => {
    assert.deepEqual(await ask(sides.fake, make(sides.fake)), await ask(sides.embedded, make(sides.embedded)));
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
