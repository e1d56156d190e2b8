// Pages of images with their links, in a project in memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createRelay, createSink } from "imagen-cloud";
import { aRequest, FAST, fakeSink, OWNER, PNG, rejection, scripted } from "./helpers.mjs";

test("an_image_is_listed_with_all_that_was_said_of_it_and_its_link", async (t) => {
  const { project, sink } = await fakeSink(t);
  const seed = -9223372036854775807n;
  let deep = "the bottom";
  for (let depth = 0; depth < 30; depth++) deep = { deep };
  const request = aRequest({ seed, model: "m", steps: 4, latencyMs: 5, costUsdEstimate: 0.25, sidecar: { deep } });
  const { imageId, storagePath } = await sink.sync(request);
  project.requests.length = 0;
  const { images, before } = await sink.list();
  assert.deepEqual(
    [images.length, before, project.requests.map(({ kind }) => kind)],
    [1, null, ["read", "read", "sign"]],
  );
  const { signedUrl, createdAt, promptHash, ...image } = images[0];
  const known = Object.entries(image).filter(([, value]) => value !== null);
  assert.deepEqual(Object.fromEntries(known), {
    ...{ imageId, storagePath, ownerUserId: project.user.id, prompt: request.prompt, backend: "flux", model: "m" },
    ...{ seed, steps: 4, width: 320, height: 240, latencyMs: 5, costUsdEstimate: 0.25, sidecar: { deep } },
    columns: {},
  });
  assert.ok(Date.parse(createdAt) > 0 && promptHash.length === 64);
  assert.deepEqual(new Uint8Array(await (await project.fetch(signedUrl)).arrayBuffer()), PNG);
});

test("pages_follow_each_other_without_a_gap_also_while_images_arrive", async (t) => {
  const { project, sink } = await fakeSink(t);
  await sink.syncMany(Array.from({ length: 25 }, (_, seed) => aRequest({ seed: seed + 1 })));
  const wanted = new Set(project.rows.map(({ id }) => id));
  const seen = [];
  let before;
  do {
    const page = await sink.list({ limit: 7, before, signedUrl: false });
    seen.push(...page.images.map(({ imageId }) => imageId));
    assert.ok(page.images.every((image) => !("signedUrl" in image)));
    before = page.before;
    await sink.sync(aRequest({ seed: 100 + seen.length }));
  } while (before !== null);
  assert.equal(seen.length, 25);
  assert.deepEqual(new Set(seen), wanted);
  const [some] = seen;
  const { images } = await sink.list({ ids: [some], owner: project.user.id });
  assert.deepEqual(
    images.map(({ imageId }) => imageId),
    [some],
  );
});

test("a_server_that_gives_fewer_rows_than_are_asked_for_hides_none", async (t) => {
  const { project, sink } = await fakeSink(t);
  await sink.syncMany(Array.from({ length: 25 }, (_, seed) => aRequest({ seed: seed + 1 })));
  // As PostgREST does with `max-rows`: it cuts, and says nothing of it.
  const most = (url) => url.replace(/([?&]limit=)(\d+)/, (_, name, limit) => name + Math.min(limit, 10));
  const cut = await createSink({ ...project.options, fetch: (url, init) => project.fetch(most(url), init) });
  t.after(() => cut.free());
  const pages = [];
  let before;
  do {
    const page = await cut.list({ before, signedUrl: false });
    pages.push(page.images.map(({ imageId }) => imageId));
    before = page.before;
  } while (before !== null);
  assert.deepEqual([pages.map(({ length }) => length), new Set(pages.flat()).size], [[10, 10, 5], 25]);
});

test("small_pictures_have_links_of_their_own_and_null_where_there_is_none", async (t) => {
  const { project, sink } = await fakeSink(t);
  const [one, other] = [await sink.sync(aRequest()), await sink.sync(aRequest({ seed: 7 }))];
  project.objects.set(`${one.storagePath}.thumb`, { ...project.objects.get(one.storagePath) });
  project.requests.length = 0;
  const { images } = await sink.list({ limit: 1, signedUrl: 60, thumbnail: true });
  assert.deepEqual([images[0].imageId, images[0].thumbnailUrl], [other.imageId, null]);
  assert.deepEqual(
    project.requests.map(({ kind }) => kind),
    ["read", "sign"],
  );
  const [, first] = (await sink.list({ thumbnail: true })).images;
  assert.match(first.thumbnailUrl, /\.png\.thumb\?/);
  assert.notEqual(first.thumbnailUrl, first.signedUrl);
});

test("small_pictures_come_as_they_are_and_by_one_request_beside_transformed_ones", async (t) => {
  const { project, sink } = await fakeSink(t);
  for (const seed of [1, 2, 3]) {
    const { storagePath } = await sink.sync(aRequest({ seed }));
    if (seed > 1) project.objects.set(`${storagePath}.thumb`, { ...project.objects.get(storagePath) });
  }
  project.requests.length = 0;
  const { images } = await sink.list({ limit: 3, signedUrl: { transform: { width: 256 } }, thumbnail: true });
  for (const { signedUrl } of images) assert.match(signedUrl, /\/render\/image\/sign\//);
  const small = images.map(({ thumbnailUrl }) => thumbnailUrl && /\/object\/sign\/.*\.png\.thumb\?/.test(thumbnailUrl));
  assert.deepEqual(small, [true, true, null]);
  const signed = project.requests.filter(({ kind }) => kind === "sign");
  assert.equal(signed.length, 4, "one for each image, and one for all small pictures");
});

test("a_link_may_be_saved_made_small_or_missing", async (t) => {
  const { project, sink } = await fakeSink(t);
  const kept = await sink.sync(aRequest({ slug: "a,b;c" }));
  const gone = await sink.sync(aRequest({ seed: 7 }));
  project.objects.delete(gone.storagePath);
  const transform = { width: 256, height: 128, resize: "contain", quality: 60, format: "origin" };
  const { images } = await sink.list({ signedUrl: { expiresIn: 60, download: "a.png", transform } });
  const links = Object.fromEntries(images.map(({ imageId, signedUrl }) => [imageId, signedUrl]));
  assert.match(links[kept.imageId], /\/render\/image\/sign\/.*&download=a\.png$/);
  assert.equal(links[gone.imageId], null);
  const url = await sink.signedUrl(kept.storagePath, 60, { transform });
  assert.match(url, /\/storage\/v1\/render\/image\/sign\/imagen-generated\//);
  assert.equal((await project.fetch(url)).status, 200);
  const [small, none] = await sink.signedUrls([kept.storagePath, gone.storagePath], 60, { transform });
  assert.equal((await project.fetch(small)).status, 200);
  assert.equal(none, null);
});

test("what_no_list_takes_is_refused_with_its_field_before_anything_is_sent", async (t) => {
  const { project, sink } = await fakeSink(t);
  for (const [options, field] of [
    [{ limit: 0 }, "limit"],
    [{ limit: 501 }, "limit"],
    [{ limit: "7" }, "limit"],
    [{ before: "x" }, "before"],
    [{ before: 7 }, "before"],
    [{ owner: 7 }, "owner"],
    [{ ids: "a" }, "ids"],
    [{ ids: ["a"] }, "ids"],
    [{ columns: ["seed"] }, "columns.seed"],
    [{ columns: ["a b"] }, "columns.a b"],
    [{ signedUrl: "60" }, "signedUrl"],
    [{ signedUrl: -1 }, "signedUrl"],
    [{ signedUrl: { expiresIn: 0 } }, "signedUrl.expiresIn"],
    [{ signedUrl: { transform: { width: 2501 } } }, "transform.width"],
    [{ download: true }, "download"],
    [{ thumbnail: true, signedUrl: false }, "thumbnail"],
    [{ thumbnail: 1 }, "thumbnail"],
    [{ lim: 7 }, "lim"],
  ]) {
    await rejection(() => sink.list(options), { code: "invalid_request", field });
  }
  const path = `${project.user.id}/a?b.png`;
  for (const [transform, field] of [
    [{ width: 0 }, "transform.width"],
    [{ height: 2501 }, "transform.height"],
    [{ quality: 19 }, "transform.quality"],
    [{ resize: "crop" }, "transform.resize"],
    [{ format: "webp" }, "transform.format"],
    [{ widht: 7 }, "transform.widht"],
    [7, "transform"],
    [{ width: 7 }, "storagePath"],
  ]) {
    await rejection(() => sink.signedUrl(path, 60, { transform }), { code: "invalid_request", field });
    await rejection(() => sink.signedUrls([path], 60, { transform }), { code: "invalid_request", field });
  }
  assert.equal(project.requests.length, 0);
});

test("a_page_that_is_too_long_to_be_read_asks_for_fewer_rows_at_once_and_not_again", async (t) => {
  const long = `[{"prompt":"${"x".repeat(2 ** 25)}"}]`;
  const server = await scripted(t, () => ({ body: long }));
  for (const handle of [
    await createSink({ url: server.url, apiKey: "test-key", ownerUserId: OWNER, ...FAST }),
    await createRelay({ url: server.url, accessToken: () => "a.b.c", ...FAST }),
  ]) {
    const error = await rejection(() => handle.list(), { code: "bad_response", field: "limit", retryable: false });
    assert.match(error.message, /^list: the answer is too long to be read\. Ask for fewer rows: limit$/);
    handle.free();
  }
  assert.equal(server.requests.length, 2);
});

test("a_relay_lists_by_one_request_with_its_links", async (t) => {
  const image = {
    imageId: "11111111-2222-4333-8444-555555555555",
    seed: "9223372036854775807",
    signedUrl: "https://x",
  };
  const bodies = [{ body: { images: [image, { ...image, seed: null }], before: "abc" } }];
  const server = await scripted(t, { "GET /api/": bodies });
  const relay = await createRelay({ url: server.url, accessToken: () => "eyJ.a.b", ownerUserId: OWNER, ...FAST });
  t.after(() => relay.free());
  const transform = { width: 256, resize: "cover" };
  const signedUrl = { expiresIn: 60, transform };
  const page = await relay.list({ limit: 7, columns: ["project_id"], thumbnail: true, signedUrl });
  assert.deepEqual(page, {
    images: [
      { ...image, seed: 9223372036854775807n, columns: {} },
      { ...image, seed: null, columns: {} },
    ],
    before: "abc",
  });
  const [{ target }] = server.requests;
  assert.equal(target, "/api/images?limit=7&columns=project_id&ttl=60&width=256&resize=cover&thumbnail=true");
  for (const field of ["owner", "ids"]) {
    await rejection(() => relay.list({ [field]: field === "ids" ? [OWNER] : OWNER }), {
      code: "invalid_request",
      field,
    });
  }
});
