// What became of an image, and its removal: also of one that is on its way, which never comes back.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createSink } from "imagen-cloud";
import { until } from "../support/until.mjs";
import { fields, file, PIXEL, PNG, putUpload, startBench } from "./support.mjs";

const QUICK = {
  SYNC_BACKOFF_MS: "5",
  RETRY_DELAY_SECONDS: "1",
  STAGED_STALE_SECONDS: "1",
  DELIVERY_DEADLINE_MS: "3000",
};

let bench;
let user;
let other;
let bucket;
before(async () => {
  bench = await startBench(QUICK);
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
  bucket = await bench.worker.staged();
});
after(() => bench?.close());

const request = (changes) => fields({ slug: randomUUID(), imageId: randomUUID(), ...changes });
const post = (request, { token = user.accessToken, image = file(PNG) } = {}) => bench.post(token, { request, image });
const ask = (path, { method = "GET", token = user.accessToken } = {}) =>
  bench.call(`/api/images${path}`, { method, headers: { authorization: `Bearer ${token}` } });
const remove = (path, options) => ask(path, { method: "DELETE", ...options });
const isStaged = async (imageId) => (await bucket.head(`staged/${imageId}`)) !== null;

async function answer(response) {
  const { code, detail, title, type, requestId, status, ...body } = await response.json();
  return { status: response.status, ...body, ...(code !== undefined && { code }) };
}

async function down(work) {
  bench.front.down = true;
  try {
    return await work();
  } finally {
    bench.front.down = false;
  }
}

/** Has the Worker take an image that Supabase then refuses for good, with this answer to such requests. */
async function refused(asked, isRefused, answered) {
  const staged = await down(async () => answer(await post(asked)));
  bench.front.before = async (request, response) => {
    if (!isRefused(request)) return;
    response.writeHead(400, { "content-type": "application/json" });
    response.end(answered);
  };
  try {
    await until(async () => (await bucket.head(`dead/${asked.imageId}`)) !== null, "its refusal");
  } finally {
    bench.front.before = undefined;
  }
  return staged;
}

async function isGone({ imageId, storagePath }) {
  const rows = await bench.supabase.sql("select id from imagen.images where id = $1", [imageId]);
  const objects = await bench.supabase.sql("select name from storage.objects where name = $1", [storagePath]);
  assert.deepEqual([rows, objects], [[], []]);
}

async function arrived(changes) {
  const taken = await answer(await post(request(changes)));
  assert.equal(taken.status, 201);
  return { imageId: taken.imageId, storagePath: taken.storagePath };
}

test("an image that is there is told of to its user, and unknown to another", async () => {
  const image = await arrived();
  const found = await answer(await ask(`/${image.imageId.toUpperCase()}`));
  assert.deepEqual([found.status, found.imageId, found.storagePath], [200, image.imageId, image.storagePath]);
  const theirs = await answer(await ask(`/${image.imageId}`, { token: other.accessToken }));
  assert.deepEqual(theirs, { status: 404, code: "not_found" });
  assert.deepEqual(await answer(await ask(`/${randomUUID()}`)), theirs, "as one that never was");
});

test("no other spelling of an id is looked for", async () => {
  for (const id of ["x", randomUUID().replaceAll("-", ""), `${randomUUID()}%2f`, "eq.1"]) {
    for (const method of ["GET", "DELETE"]) {
      const told = await answer(await ask(`/${id}`, { method }));
      assert.deepEqual(told, { status: 400, code: "invalid_request", field: "imageId" }, `${method} ${id}`);
    }
  }
});

test("an image on its way is told of as such, also while Supabase is down, and to its user only", async () => {
  const asked = request();
  await down(async () => {
    const { storagePath } = await answer(await post(asked));
    const wanted = { status: 200, imageId: asked.imageId, storagePath, queued: true };
    assert.deepEqual(await answer(await ask(`/${asked.imageId}`)), wanted);
    const unknown = await answer(await ask(`/${asked.imageId}`, { token: other.accessToken }));
    assert.equal(unknown.status, 503, "whether there is a row nobody can tell");
  });
  await until(async () => !(await isStaged(asked.imageId)), "its arrival");
  assert.equal((await answer(await ask(`/${asked.imageId}`))).queued, undefined);
});

test("an image that was refused after it was taken is told of with the reason's code, until it is removed", async () => {
  const asked = request();
  const answered = '{"statusCode":"415","error":"invalid_mime_type","message":"mime type is not supported"}';
  const staged = await refused(asked, ({ path }) => path.includes("/object/") && path.includes(asked.slug), answered);
  const wanted = { status: 200, imageId: asked.imageId, storagePath: staged.storagePath, refused: "invalid_image" };
  assert.deepEqual(await answer(await ask(`/${asked.imageId}`)), wanted);
  const theirs = await answer(await ask(`/${asked.imageId}`, { token: other.accessToken }));
  assert.deepEqual(theirs, { status: 404, code: "not_found" });
  assert.equal((await remove(`/${asked.imageId}`)).status, 200);
  assert.equal(await bucket.head(`dead/${asked.imageId}`), null);
});

test("a removed image is gone with object and row, and does not come back by the same id", async () => {
  const asked = request();
  const { status, ...image } = await answer(await post(asked));
  for (let again = 0; again < 2; again += 1) {
    const removed = await answer(await remove(`/${image.imageId}`));
    assert.deepEqual([removed.status, removed.imageId], [200, image.imageId]);
    await isGone(image);
  }
  assert.deepEqual(await answer(await post(asked)), { status: 410, code: "image_removed", imageId: image.imageId });
  assert.deepEqual(await answer(await ask(`/${image.imageId}`)), {
    status: 410,
    code: "image_removed",
    imageId: image.imageId,
  });
  const wish = { ...asked, size: PNG.length, mimeType: "image/png" };
  assert.equal((await bench.send("/api/tickets", user.accessToken, wish)).status, 410);
  await isGone(image);
});

test("another user's image is removed neither by its id nor by its path", async () => {
  const image = await arrived();
  const before = await bench.snapshot();
  const token = other.accessToken;
  const path = encodeURIComponent(image.storagePath);
  for (const target of [`/${image.imageId}`, `?storagePath=${path}`, `/${randomUUID()}?storagePath=${path}`]) {
    assert.deepEqual(await answer(await remove(target, { token })), { status: 403, code: "not_yours" }, target);
  }
  assert.equal(await bench.snapshot(), before);
  assert.equal(await bucket.head(`removed/${image.imageId}`), null);
});

test("a mark that another user left keeps nobody's image away", async () => {
  const asked = request();
  assert.equal((await remove(`/${asked.imageId}`, { token: other.accessToken })).status, 200);
  const { status, ...image } = await answer(await post(asked));
  assert.equal(status, 201);
  assert.equal((await remove(`/${asked.imageId}`, { token: other.accessToken })).status, 403);
  assert.equal((await remove(`/${asked.imageId}`)).status, 200);
  await isGone(image);
  assert.equal((await post(asked)).status, 410);
  assert.equal(
    (await remove(`/${asked.imageId}`, { token: other.accessToken })).status,
    403,
    "the mark stays its user's",
  );
});

test("an image is removed by its path, and then its id is remembered too", async () => {
  const asked = request();
  const { status, ...image } = await answer(await post(asked));
  const removed = await answer(await remove(`?storagePath=${encodeURIComponent(image.storagePath)}`));
  assert.deepEqual(removed, { status: 200, ...image });
  await isGone(image);
  assert.equal((await post(asked)).status, 410);
  for (const query of ["", "?storagePath=", "?storagePath=a&storagePath=b"]) {
    const told = await answer(await remove(query));
    assert.deepEqual([told.status, told.field], [400, "storagePath"], query);
  }
});

test("all of a user's images that are one object are removed by its path", async () => {
  const slug = randomUUID();
  const images = [await arrived({ slug }), await arrived({ slug })];
  assert.equal(images[0].storagePath, images[1].storagePath);
  const removed = await answer(await remove(`?storagePath=${encodeURIComponent(images[0].storagePath)}`));
  assert.deepEqual([removed.status, removed.storagePath], [200, images[0].storagePath]);
  for (const image of images) {
    await isGone(image);
    assert.equal((await ask(`/${image.imageId}`)).status, 410, "it is remembered");
  }
});

test("what an image that was refused has left in the bucket goes with it, also where it came elsewhere since", async () => {
  for (const comesElsewhere of [false, true]) {
    const asked = request();
    const answered = '{"code":"23514","message":"new row violates check constraint","details":null,"hint":null}';
    const isInsert = ({ method, path }) => method === "POST" && path.startsWith("/rest/v1/images");
    const staged = await refused(asked, isInsert, answered);
    const left = await bench.supabase.sql("select name from storage.objects where name = $1", [staged.storagePath]);
    assert.equal(left.length, 1, "its upload");
    const paths = [staged.storagePath];
    if (comesElsewhere) paths.push((await answer(await post({ ...asked, slug: randomUUID() }))).storagePath);
    const removed = await answer(await remove(`/${asked.imageId}`));
    assert.deepEqual([removed.status, removed.storagePath], [200, paths.at(-1)]);
    for (const storagePath of paths) await isGone({ imageId: asked.imageId, storagePath });
  }
});

test("an image on its way is dropped, while Supabase is down too, and never arrives", async () => {
  const asked = request();
  const staged = await down(async () => {
    const staged = await answer(await post(asked));
    const told = await answer(await remove(`/${asked.imageId}`));
    assert.deepEqual([told.status, told.code], [503, "unavailable"], "whether there is a row nobody can tell");
    assert.equal(await isStaged(asked.imageId), false, "it is dropped all the same");
    return staged;
  });
  assert.equal((await remove(`/${asked.imageId}`)).status, 200);
  await isGone(staged);
  assert.equal((await post(asked)).status, 410);
});

test("removed while its delivery is under way, it is gone when that has ended", async () => {
  const asked = request();
  const taken = await down(async () => answer(await post(asked)));
  let removing;
  bench.front.before = async ({ method, path }) => {
    if (method !== "POST" || !path.startsWith("/rest/v1/images") || removing !== undefined) return;
    removing = remove(`/${asked.imageId}`);
    assert.equal((await removing).status, 200);
  };
  try {
    await until(() => removing !== undefined, "the delivery");
    await removing;
    await until(
      () => bench.logs.some((line) => /"event":"gone"/.test(line) && line.includes(asked.imageId)),
      "its end",
    );
  } finally {
    bench.front.before = undefined;
  }
  await isGone(taken);
  assert.equal(await isStaged(asked.imageId), false);
});

test("a removal that a delivery could not end is ended by the next one", async () => {
  const asked = request();
  const taken = await down(async () => answer(await post(asked)));
  let isRemoved = false;
  bench.front.before = async ({ method, path }, response) => {
    if (isRemoved && path.startsWith("/rest/v1/images") && method === "GET") response.writeHead(503).end("down");
    if (isRemoved || method !== "POST" || !path.startsWith("/rest/v1/images")) return;
    assert.equal((await remove(`/${asked.imageId}`)).status, 200);
    isRemoved = true;
  };
  const logged = (event) => bench.logs.some((line) => line.includes(`"${event}"`) && line.includes(asked.imageId));
  try {
    await until(() => logged("delayed") && isRemoved, "the delivery to have brought it");
  } finally {
    bench.front.before = undefined;
  }
  await until(() => logged("gone"), "the next one");
  await isGone(taken);
});

test("what a delivery uploads after the image's removal goes, though its row never came", async () => {
  for (const ending of ["the next delivery", "the same removal again"]) {
    const asked = request();
    const taken = await down(async () => answer(await post(asked)));
    let isRemoved = false;
    bench.front.before = async ({ method, path }, response) => {
      if (method === "PUT" && path.includes(asked.slug) && !isRemoved) {
        // The upload has begun, and ends after it.
        assert.equal((await remove(`/${asked.imageId}`)).status, 200);
        isRemoved = true;
      }
      if (method === "POST" && path.startsWith("/rest/v1/images")) response.writeHead(503).end("down");
    };
    const logged = (event) => bench.logs.some((line) => line.includes(`"${event}"`) && line.includes(asked.imageId));
    const objects = () => bench.supabase.sql("select id from storage.objects where name = $1", [taken.storagePath]);
    try {
      await until(() => logged("delayed") && isRemoved, "the delivery to fail");
      if (ending === "the same removal again") {
        assert.equal((await remove(`/${asked.imageId}`)).status, 200);
        assert.deepEqual(await objects(), []);
      }
      await until(() => logged("gone"), "the next delivery");
    } finally {
      bench.front.before = undefined;
    }
    await isGone(taken);
  }
});

test("what was removed at Supabase itself is not brought back by a message that comes again", async () => {
  const asked = request();
  const { status, queued, ...taken } = await down(async () => answer(await post(asked)));
  assert.equal(status, 202);
  await until(async () => !(await isStaged(asked.imageId)), "its arrival");
  const sink = await createSink({
    url: bench.supabase.url,
    apiKey: bench.supabase.anonKey,
    accessToken: () => user.accessToken,
    ownerUserId: user.id,
  });
  await sink.remove(taken);
  sink.free();
  await isGone(taken);
  const logged = () => bench.logs.filter((line) => line.includes('"gone"') && line.includes(asked.imageId)).length;
  const earlier = logged();
  const queue = await bench.worker.deliveries();
  for (let again = 0; again < 2; again += 1) await queue.send({ imageId: asked.imageId });
  await bench.worker.runCron();
  await until(() => logged() === earlier + 2, "both messages");
  await isGone(taken);
});

test("of what was put aside since its id is another's, no other image goes that came to its place since", async () => {
  const theirs = request();
  assert.equal((await post(theirs, { token: other.accessToken })).status, 201);
  const late = request({ imageId: theirs.imageId });
  const staged = await down(async () => answer(await post(late)));
  await until(async () => (await bucket.head(`dead/${late.imageId}`)) !== null, "its refusal");
  // Its user sends it again, as told: under another id.
  const again = await answer(await post({ ...late, imageId: randomUUID() }));
  assert.deepEqual([again.status, again.storagePath], [201, staged.storagePath]);
  assert.equal((await remove(`/${late.imageId}`)).status, 200);
  assert.equal((await ask(`/${again.imageId}`)).status, 200);
  const objects = await bench.supabase.sql("select id from storage.objects where name = $1", [again.storagePath]);
  assert.equal(objects.length, 1);
});

test("what was put aside is removed by its user alone, whoever has its id", async () => {
  const asked = request();
  const answered = '{"code":"23514","message":"new row violates check constraint","details":null,"hint":null}';
  const isInsert = ({ method, path }) => method === "POST" && path.startsWith("/rest/v1/images");
  const staged = await refused(asked, isInsert, answered);
  const token = other.accessToken;
  assert.deepEqual(await answer(await remove(`/${asked.imageId}`, { token })), { status: 403, code: "not_yours" });
  assert.equal((await remove(`/${asked.imageId}`)).status, 200);
  await isGone(staged);
  assert.equal(await bucket.head(`dead/${asked.imageId}`), null);

  // One that was put aside since its id is another user's.
  const theirs = request();
  const { storagePath } = await answer(await post(theirs, { token }));
  const late = request({ imageId: theirs.imageId });
  await down(() => post(late));
  await until(async () => (await bucket.head(`dead/${late.imageId}`)) !== null, "its refusal");
  const removed = await answer(await remove(`/${late.imageId}`));
  assert.deepEqual([removed.status, removed.imageId], [200, late.imageId]);
  assert.equal(await bucket.head(`dead/${late.imageId}`), null);
  const still = await answer(await ask(`/${theirs.imageId}`, { token }));
  assert.deepEqual([still.status, still.storagePath], [200, storagePath]);
  assert.equal((await remove(`/${theirs.imageId}`, { token })).status, 200, "it can be removed by its user");
  await isGone({ imageId: theirs.imageId, storagePath });
});

test("removed while its upload is under way, it is gone when that is answered", async () => {
  for (const send of [post, sendByTicket]) {
    const asked = request();
    let removing;
    bench.front.before = async ({ method, path }) => {
      if (method !== "POST" || !path.startsWith("/rest/v1/images") || removing !== undefined) return;
      removing = remove(`/${asked.imageId}`);
      assert.equal((await removing).status, 200);
    };
    try {
      assert.deepEqual(await answer(await send(asked)), { status: 410, code: "image_removed", imageId: asked.imageId });
    } finally {
      bench.front.before = undefined;
    }
    await isGone({ imageId: asked.imageId, storagePath: `${user.id}/2026-05-11/${asked.slug}-42.png` });
  }
});

async function sendByTicket(asked) {
  const wish = { ...asked, size: PIXEL.length, mimeType: "image/png" };
  const ticket = await (await bench.send("/api/tickets", user.accessToken, wish)).json();
  assert.equal((await putUpload(ticket, PIXEL)).status, 200);
  return bench.send(`/api/tickets/${ticket.ticket}/commit`, user.accessToken, asked);
}

test("an answer about its row that gets lost fails no removal", async () => {
  for (const target of [
    ({ imageId }) => `/${imageId}`,
    ({ storagePath }) => `?storagePath=${encodeURIComponent(storagePath)}`,
  ]) {
    const image = await arrived();
    let lost = 0;
    bench.front.lose = ({ method, path }) => method === "GET" && path.startsWith("/rest/v1/images") && lost++ === 0;
    try {
      assert.equal((await remove(target(image))).status, 200);
    } finally {
      bench.front.lose = undefined;
    }
    assert.ok(lost > 1, "it was asked again");
    await isGone(image);
  }
});

test("what a removal could not end, the same removal ends", async () => {
  const image = await arrived();
  bench.front.before = async ({ method, path }, response) => {
    if (method === "DELETE" && path.startsWith("/rest/v1/images")) response.writeHead(503).end("down");
  };
  try {
    assert.deepEqual(await answer(await remove(`/${image.imageId}`)), {
      status: 503,
      code: "unavailable",
      imageId: image.imageId,
    });
  } finally {
    bench.front.before = undefined;
  }
  assert.equal((await answer(await ask(`/${image.imageId}`))).status, 200, "its row is there, and says so");
  assert.equal((await remove(`/${image.imageId}`)).status, 200);
  await isGone(image);
});

test("a mark is over after 30 days", async () => {
  const asked = request();
  const removedAt = String(Date.now() - 31 * 86_400_000);
  await bucket.put(`removed/${asked.imageId}`, "", { customMetadata: { owner: user.id, removedAt } });
  assert.equal((await post(asked)).status, 201);
});

test("marks that are over are deleted by the trigger, a part of all a run, and no others", async () => {
  const mark = (id, days) => {
    const removedAt = String(Date.now() - days * 86_400_000);
    return bucket.put(`removed/${id}`, "", { customMetadata: { owner: user.id, removedAt } });
  };
  const [kept, over] = [randomUUID(), randomUUID()];
  await mark(kept, 29);
  await mark(over, 31);
  await bench.worker.runCron();
  assert.notEqual(await bucket.head(`removed/${kept}`), null);
  assert.equal(await bucket.head(`removed/${over}`), null);
  // A run that did not come to the end tells the next one from where to go on, and that one's end makes the third begin anew.
  await bucket.put("tidied/removed", "removed/f");
  await mark("00000000-over", 31);
  await bench.worker.runCron();
  assert.notEqual(await bucket.head("removed/00000000-over"), null);
  await bench.worker.runCron();
  assert.equal(await bucket.head("removed/00000000-over"), null);
});

test("pages may remove, and need a token to", async () => {
  const preflight = await bench.call("/api/images/x", { method: "OPTIONS" });
  assert.match(preflight.headers.get("access-control-allow-methods"), /\bDELETE\b/);
  for (const method of ["GET", "DELETE"]) {
    assert.equal((await bench.call(`/api/images/${randomUUID()}`, { method })).status, 401);
  }
});
