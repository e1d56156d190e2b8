// Writes inputs to start from: the seed's vectors, the test images, and what real servers answer.
//   node fuzz/seeds.mjs FOLDER   into FOLDER/TARGET; the fuzzers' own finds are kept in fuzz/corpus
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = new URL("..", import.meta.url);
const folder = process.argv[2];
const FIELD = Buffer.from([0xff]);
const STEP = Buffer.from([0xfe]);
const counts = {};

const parted = (parts, mark) =>
  Buffer.concat(parts.flatMap((part, index) => (index ? [mark, Buffer.from(part)] : [Buffer.from(part)])));
const fields = (...parts) => parted(parts, FIELD);
const steps = (...parts) => parted(parts, STEP);

function add(target, input) {
  counts[target] = (counts[target] ?? 0) + 1;
  mkdirSync(join(folder, target), { recursive: true });
  writeFileSync(join(folder, target, `seed-${counts[target]}`), input);
}

const answer = (status, body = "", { retryAfter = "", date = "", location = "", offset = "" } = {}) =>
  fields(String(status), retryAfter, date, location, offset, typeof body === "string" ? body : JSON.stringify(body));

const ID = "00000000-0000-4000-8000-00000000002a";
const OWNER = "7d6f2b8e-1111-4222-8333-444455556666";

// The seed's own vectors.
for (const vector of JSON.parse(readFileSync(new URL("tests/vectors/seed.json", root)))) {
  for (const { status, body = "", headers = {} } of vector.replies) {
    add("answer", answer(status, body, { retryAfter: headers["Retry-After"] ?? headers["retry-after"] ?? "" }));
    if (vector.op !== "sync") add("sign", fields(vector.storagePath || "a/b.png", "/x", "", answer(status, body)));
  }
  const { date, slug, seed, ext, mimeType, prompt, backend, steps, width, height } = vector.request ?? {};
  if (date === undefined) continue;
  add("path", fields("", date, slug, ext || "png", String(seed), `${date}/${slug}-${seed}.${ext || "png"}`));
  const numbers = [seed, steps, width, height].join();
  add("request", fields("", date, slug, ext, mimeType, prompt, backend, ID, numbers, "no image"));
}

// Images, as much of them as headers take.
const dataFile = (name) => readFileSync(new URL(`tests/data/${name}`, root)).subarray(0, 700);
for (const name of Object.keys(JSON.parse(readFileSync(new URL("tests/data/headers.json", root))))) {
  add("image", dataFile(name));
}
for (const ending of ["png", "jpg", "webp", "avif", "gif"]) {
  const bytes = dataFile(`lighthouse.${ending}`);
  add("image", bytes);
  add("request", fields("u", "2026-05-11", "a b", "", `image/${ending}`, "p", "b", "", "7,1,2,3", bytes));
}
const be16 = (number) => Buffer.from([number >> 8, number & 255]);
const jpeg = (...segments) => Buffer.concat([Buffer.from([0xff, 0xd8]), ...segments]);
const segment = (kind, content) => Buffer.concat([Buffer.from([0xff, kind]), be16(content.length + 2), content]);
const sampling = Buffer.from([3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
const start = Buffer.from([0xff, 0xda]);
const frame = Buffer.concat([segment(0xc2, Buffer.concat([Buffer.from([8]), be16(240), be16(320), sampling])), start]);
const turned = segment(0xe1, Buffer.from("Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", "latin1"));
add("image", jpeg(turned, Buffer.from("stray"), frame));
add("image", jpeg(segment(0xe0, Buffer.alloc(14)), segment(0xc4, Buffer.alloc(3)), frame));
add("image", jpeg(segment(0xe0, Buffer.alloc(14)), Buffer.from([0xff, 0xff]), frame));
const box = (kind, ...contents) => {
  const content = Buffer.concat(contents);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(content.length + 8);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, content]);
};
const sides = (width, height) => {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(width, 4);
  bytes.writeUInt32BE(height, 8);
  return bytes;
};
const avif = (brands, ...properties) =>
  Buffer.concat([
    box("ftyp", Buffer.from(brands)),
    box("meta", Buffer.alloc(4), box("hdlr", Buffer.alloc(24)), box("iprp", box("ipco", ...properties))),
    box("mdat", Buffer.alloc(8)),
  ]);
for (const brands of ["avif\0\0\0\0avifmif1miaf", "mif1\0\0\0\0avifmiaf", "mif1\0\0\0\0miafavif"]) {
  const properties = [box("ispe", sides(1, 1)), box("colr", Buffer.alloc(20)), box("ispe", sides(320, 240))];
  add("image", avif(brands, ...properties, box("irot", Buffer.from([1])), box("imir", Buffer.from([1]))));
}
for (const kind of ["VP8 ", "VP8L", "VP8X"]) {
  add("image", Buffer.concat([Buffer.from(`RIFF\0\0\0\0WEBP${kind}`), Buffer.from(Array(20).fill(5))]));
}

// What servers answer (docs/contract.md).
const storage = (statusCode, code, message) => answer(400, { statusCode, error: "x", message, code });
for (const input of [
  answer(200, { Key: "imagen-generated/u/a.png", Id: ID }),
  storage("409", "KeyAlreadyExists", "The resource already exists"),
  storage("404", "NoSuchBucket", "Bucket not found"),
  storage("403", "AccessDenied", '"exp" claim timestamp check failed: $JWT'),
  storage("403", "AccessDenied", "new row violates row-level security policy"),
  storage("503", "LockTimeout", "lock timeout"),
  storage(413, "EntityTooLarge", "The object exceeded the maximum allowed size"),
  storage("415", "InvalidMimeType", "mime type image/x is not supported"),
  answer(429, { code: "SlowDown" }, { retryAfter: "3" }),
  answer(503, "<html>", {
    retryAfter: "Wed, 21 Oct 2026 07:28:10 GMT",
    date: "Wed, 21 Oct 2026 07:28:00 GMT",
  }),
  answer(544, { statusCode: "544", error: "DatabaseTimeout", message: "x" }),
  answer(201, [{ id: ID, owner_user_id: OWNER, storage_path: "u/a.png" }]),
  answer(200, [{ id: ID.toUpperCase(), owner_user_id: OWNER, storage_path: "u/a.png" }, { id: null }]),
  answer(201, []),
  ...["23505", "23503", "42501", "40001", "57014", "PGRST002", "PGRST106", "PGRST204", "PGRST205", "PGRST301"].map(
    (code) => answer(409, { code, message: "Bearer%20$JWT", details: null, hint: null }),
  ),
  answer(401, { message: "Invalid API key" }),
])
  add("answer", input);

for (const signed of [
  "/object/sign/imagen-generated/u/a b?c%.png?token=t.u",
  "/storage/v1/object/sign/imagen-generated/u/a%20b%3Fc%25.png?token=t.u",
  "https://x.co/storage/v1/object/sign/imagen-generated/u/a b?c%.png?token=$JWT",
  "/render/image/sign/imagen-generated/u/a b?c%.png?token=t&width=3",
  "javascript:alert(1)",
  "",
]) {
  add("sign", fields("u/a b?c%.png", signed, "a&b+c.png", answer(200, { signedURL: signed })));
  add("sign", fields("u/a.png", signed, "", answer(200, [{ error: null, signedURL: signed }, { error: "no" }])));
}

const location = `https://x.co/storage/v1/upload/resumable/${Buffer.from("t/imagen-generated/u/a.png/v1").toString("base64url")}`;
const at = (offset, status = 204) => answer(status, "", { offset: String(offset) });
const created = answer(201, "", { location, offset: "4" });
for (const input of [
  steps(fields("10", "4", ""), created, at(8), at(10)),
  steps(fields("10", "4", ""), created, "cut", at(6, 200), at(10)),
  steps(fields("10", "4", ""), created, at(8), "cut", answer(200, { version: "v1", size: 10 })),
  steps(fields("10", "4", ""), created, answer(409, "already exists"), storage("404", "NoSuchKey", "x"), at(4, 200)),
  steps(fields("10", "4", "abc"), answer(200, { version: "v2", size: 3 }), answer(404), answer(410), created),
  steps(fields("10", "4", "../x"), answer(404), answer(404), "cut", answer(404), created, at(99), at(8, 200), at(10)),
  steps(
    fields("9", "9", ""),
    answer(503),
    answer(423),
    answer(400, "lock acquired"),
    answer(403),
    answer(404),
    created,
  ),
  steps(fields("10", "4", ""), created, answer(409), answer(400), storage("403", "AccessDenied", "exp $JWT")),
  steps(fields("10", "4", "", "by ticket"), created, at(8), at(10), answer(409, { code: "not_uploaded" }), at(8, 200)),
  steps(fields("10", "4", "abc", "by ticket"), answer(201, { storagePath: "u/a.png" })),
])
  add("tus", input);

const ticket = {
  ticket: "eyJzdWIiOiJ1In0.c2lnbmF0dXJl",
  storagePath: "u/a.png",
  bucket: "imagen-generated",
  path: `.incoming/${ID}`,
  token: "a.b.c",
  resumableUrl: "https://x.supabase.co/storage/v1/upload/resumable/sign",
};
for (const input of [
  answer(201, { storagePath: "u/a.png", imageId: ID }),
  answer(202, { storagePath: "u/a.png", imageId: ID, queued: true }),
  answer(201, ticket),
  answer(201, { ...ticket, ticket: "../x", token: "a\nb", resumableUrl: "javascript:alert(1)" }),
  answer(200, { url: "https://x.co/storage/v1/object/sign/b/u/a.png?token=$JWT" }),
  answer(200, { url: "http: //" }),
  ...["not_uploaded", "upload_mismatch", "ticket_expired", "ticket_invalid", "rate_limited", "id_taken"].map((code) =>
    answer(409, { code, title: "x", detail: "$JWT" }),
  ),
])
  add("relay", input);

const job = (fields) =>
  JSON.stringify({
    id: ID,
    storagePath: "u/a b-1.png",
    mimeType: "image/png",
    row: "{}",
    state: "queued",
    uploaded: false,
    waitAsked: false,
    size: 18,
    createdAt: 1_800_000_000_000,
    attempts: 0,
    notBefore: 0,
    waitSetAt: 0,
    ...fields,
  });
for (const given of [
  {},
  { state: "uploading", uploadId: "dGVuYW50", attempts: 2, notBefore: 1_800_000_003_000, waitSetAt: 1_800_000_000_000 },
  { state: "failed", uploaded: true, error: { stage: "insert", code: "forbidden", message: "m", status: 403 } },
  { id: "x&select=*", storagePath: "../x", mimeType: "a\nb", uploadId: "../../x", size: -1.5, attempts: 1e300 },
  { error: { stage: 1 }, later: { version: 2 } },
])
  add("job", job(given));

for (const options of [
  ["https://abcd.supabase.co/", "sb_secret_x", "my bucket", "imagen", "images", "u/x", "max-age=60"],
  ["http://localhost:54321/base//", "eyJh.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c", "", "", "my table", "", ""],
  ["HTTPS://[::1]:80", "k", "b", "s", "t", "", "a\nb"],
  ["https://u:p@x?y#z", "k\r\n", "..", "a/b", ".", "../x", ""],
])
  add("config", fields(...options));

for (const [before, after] of [
  ["bad eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-_!", "?token=abc.def"],
  ["Bearer%20", "&x=1"],
  ['{"message":"a\\n', '"}'],
  ["YWJj", "=="],
  [`${"x".repeat(490)}€`, "€€€"],
  ["aXb", "X"],
])
  add("text", fields(before, after));

for (const path of [
  "a/b.png",
  "a/../b",
  "a//b",
  "/a",
  "./a",
  "a\\b",
  "a\u0000",
  "%2e%2e/x",
  "ä".repeat(130),
  "..a/.b",
]) {
  add("path", fields("u/x", "2026-05-11", path, "png", "-9223372036854775808", path));
}
