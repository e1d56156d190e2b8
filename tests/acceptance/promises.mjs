// What the package promises, each tried against a running project, by nothing but its public API and plain requests.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRelay, createSink } from "imagen-cloud";
import { LEGAL_NAMES } from "../support/legal-names.mjs";

const PNG = await readFile(new URL("../data/lighthouse.png", import.meta.url));
/** What hosted Storage wants of a piece; so this image has two. */
const PIECE = 6 * 1024 * 1024;
const LARGE = Buffer.concat([PNG, Buffer.alloc(PIECE)]);

/**
 * @typedef {Awaited<ReturnType<import("./run.mjs").open>>} World
 * @type {Record<string, (world: World) => Promise<void>>}
 */
export const PROMISES = {
  async object_and_row_arrive_as_they_were_sent(world) {
    const seed = 9223372036854775807n;
    const fields = { seed, model: "m", steps: 20, latencyMs: 1, costUsdEstimate: 0, sidecar: { a: [1, "é"] } };
    const { storagePath, imageId } = await world.sync(fields);
    const rows = await world.rows(`id=eq.${imageId}`);
    assert.equal(rows.length, 1, "one row");
    const { created_at } = rows[0];
    const sent = {
      ...{ id: imageId, owner_user_id: world.users[0].id, storage_path: storagePath },
      ...{ prompt: "a lighthouse", prompt_hash: createHash("sha256").update("a lighthouse").digest("hex") },
      ...{ backend: "acceptance", model: "m", seed: "9223372036854775807", steps: 20, width: 320, height: 240 },
      ...{ latency_ms: 1, cost_usd_estimate: 0, sidecar: { a: [1, "é"] } },
    };
    // The project's table may have columns of its own.
    assert.deepEqual(Object.fromEntries(Object.keys(sent).map((name) => [name, rows[0][name]])), sent);
    assert.ok(!Number.isNaN(Date.parse(created_at)));
    const { bytes, type } = await world.read(storagePath);
    assert.deepEqual([bytes.equals(PNG), type], [true, "image/png"], "the object's bytes and type");
  },

  async the_same_id_makes_one_row(world) {
    const request = { imageId: randomUUID(), seed: 2 };
    const first = await world.sync(request);
    assert.deepEqual(await world.sync(request), first);
    assert.equal((await world.rows(`storage_path=eq.${first.storagePath}`)).length, 1);
  },

  async a_lost_answer_makes_no_second_row(world) {
    world.proxy.lose("PUT", "/storage/v1/object/");
    world.proxy.lose("POST", "/rest/v1/");
    const { storagePath } = await world.sync({ seed: 3 });
    assert.ok(world.proxy.lostAll());
    assert.equal((await world.rows(`storage_path=eq.${storagePath}`)).length, 1);
  },

  async links_work_for_every_legal_character(world) {
    const requests = LEGAL_NAMES.map((slug, index) => world.request({ slug, seed: index + 1 }));
    const outcomes = await world.sinks[0].syncMany(requests);
    const failed = outcomes.find(({ ok }) => !ok);
    assert.equal(failed?.error.message, undefined);
    const paths = outcomes.map(({ storagePath }) => storagePath);
    const many = await world.sinks[0].signedUrls(paths);
    const singly = await Promise.all(paths.map((path) => world.sinks[0].signedUrl(path)));
    const check = async (url, index) => {
      const response = await fetch(url);
      assert.equal(response.status, 200, `the link of ${paths[index % paths.length]}`);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(PNG), "its bytes");
    };
    await Promise.all([...many, ...singly].map(check));
  },

  async links_end_and_belong_to_one_object(world) {
    const { storagePath } = await world.sync({ seed: 4 });
    const other = await world.sync({ seed: 5 });
    const url = await world.sinks[0].signedUrl(storagePath, 60, { download: "mine.png" });
    assert.match((await fetch(url)).headers.get("content-disposition") ?? "", /attachment.*mine\.png/);
    const forged = url.replace("lighthouse-4.png", "lighthouse-5.png");
    assert.notEqual((await fetch(forged)).status, 200, "another object's token");
    assert.ok(other.storagePath);
    const missing = await world.sinks[0].signedUrl(`${world.folder}/nothing.png`).catch(({ code }) => code);
    assert.equal(missing, "object_missing");
    assert.deepEqual(await world.sinks[0].signedUrls([`${world.folder}/nothing.png`]), [null]);
    const brief = await world.sinks[0].signedUrl(storagePath, 1);
    const until = Date.now() + 30_000;
    while ((await fetch(brief)).status === 200) {
      assert.ok(Date.now() < until, "a link of one second works for half a minute");
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  },

  async a_large_image_resumes_after_cuts(world) {
    world.proxy.lose("PATCH", "/upload/resumable/", "cut");
    world.proxy.lose("PATCH", "/upload/resumable/");
    const { storagePath } = await world.sync({ seed: 6, image: LARGE });
    assert.ok(world.proxy.lostAll());
    assert.ok((await world.read(storagePath)).bytes.equals(LARGE), "the object's bytes");
    assert.equal((await world.rows(`storage_path=eq.${storagePath}`)).length, 1);
  },

  async many_images_arrive_each_with_its_row(world) {
    const requests = Array.from({ length: 30 }, (_, index) => world.request({ slug: "many", seed: index + 1 }));
    const outcomes = await world.sinks[0].syncMany(requests);
    assert.ok(outcomes.every(({ ok }) => ok));
    const rows = await world.rows(`storage_path=like.${world.folder}/many-*`);
    const ids = (list, name) => list.map((each) => each[name]).sort();
    assert.deepEqual(ids(rows, "id"), ids(outcomes, "imageId"));
  },

  async a_type_that_the_bucket_does_not_take_is_refused_by_name(world) {
    const text = new TextEncoder().encode("no image");
    const code = await world
      .sync({ seed: 7, image: text, mimeType: "text/plain", ext: "txt" })
      .catch(({ code }) => code);
    assert.equal(code, "type_not_allowed");
  },

  async a_refused_token_is_asked_for_anew(world) {
    const [{ refused, token }] = world.users;
    const given = [refused];
    const sink = await world.open(world.users[0], { accessToken: () => given.pop() ?? token });
    await sink.sync(world.request({ seed: 8 }));
    const stale = await world.open(world.users[0], { accessToken: () => refused });
    assert.equal(await stale.sync(world.request({ seed: 9 })).catch(({ code }) => code), "unauthorized");
  },

  async nobody_reaches_anothers_objects(world) {
    const { storagePath } = await world.sync({ seed: 10 });
    const [, stranger] = world.sinks;
    assert.equal(await stranger.signedUrl(storagePath).catch(({ code }) => code), "object_missing");
    const forger = await world.open(world.users[1], { pathPrefix: world.users[0].id });
    assert.equal(await forger.sync(world.request({ seed: 10 })).catch(({ code }) => code), "forbidden");
    const [open, anonymous] = await Promise.all([
      fetch(world.object(storagePath, "object/public")),
      fetch(world.object(storagePath), { headers: world.headers(undefined) }),
    ]);
    assert.notEqual(open.status, 200, "the bucket is public");
    assert.notEqual(anonymous.status, 200, "who is nobody reads it");
    assert.ok((await world.read(storagePath)).bytes.equals(PNG), "the object is as it was");
  },

  async nobody_reaches_anothers_rows(world) {
    const { imageId, storagePath } = await world.sync({ seed: 11 });
    assert.deepEqual(await world.rows(`id=eq.${imageId}`, world.users[1]), [], "a stranger reads the row");
    const forger = await world.open(world.users[1], { ownerUserId: world.users[0].id });
    assert.equal(await forger.sync(world.request({ seed: 12 })).catch(({ code }) => code), "forbidden");
    await world.ask("DELETE", `id=eq.${imageId}`, world.users[1]);
    assert.equal((await world.rows(`id=eq.${imageId}`)).length, 1, "a stranger removed the row");
    assert.ok(storagePath);
  },

  async a_users_images_are_listed_page_by_page_and_nobody_elses(world) {
    const requests = Array.from({ length: 7 }, (_, index) => world.request({ slug: "listed", seed: 100 + index }));
    const sent = (await world.sinks[0].syncMany(requests)).map(({ imageId }) => imageId);
    const seen = [];
    let before;
    do {
      const page = await world.sinks[0].list({ limit: 3, ...(before && { before }) });
      for (const { imageId, signedUrl } of page.images) {
        if (!sent.includes(imageId)) continue;
        seen.push(imageId);
        assert.equal((await fetch(signedUrl)).status, 200, "its link");
      }
      before = page.before;
    } while (before);
    assert.deepEqual([...seen].sort(), [...sent].sort(), "each once");
    const others = await world.sinks[1].list({ owner: world.users[0].id, signedUrl: false });
    assert.deepEqual(others.images, [], "a stranger lists them");
  },

  async what_is_removed_is_gone_with_its_row_and_may_be_removed_again(world) {
    const [image, other] = [await world.sync({ seed: 13 }), await world.sync({ seed: 14 })];
    const [own, stranger] = world.sinks;
    await stranger.remove(image).catch(() => {});
    assert.ok((await world.read(image.storagePath)).bytes.equals(PNG), "a stranger removed the object");
    assert.equal((await world.rows(`id=eq.${image.imageId}`)).length, 1, "a stranger removed the row");
    world.proxy.lose("DELETE", "/storage/v1/object/");
    world.proxy.lose("DELETE", "/rest/v1/");
    await own.remove(image);
    assert.ok(world.proxy.lostAll());
    assert.deepEqual(await world.rows(`id=eq.${image.imageId}`), []);
    assert.equal(await own.signedUrl(image.storagePath).catch(({ code }) => code), "object_missing");
    await own.remove(image);
    assert.ok((await world.read(other.storagePath)).bytes.equals(PNG), "another object went, too");
  },

  async the_worker_sends_lists_and_removes_for_its_user_alone(world) {
    if (!world.worker) return world.skip("needs SECRET_KEY=sb_secret_…");
    const { url, close } = await world.worker();
    const [own, stranger] = await Promise.all(
      world.users.map(({ id, token }) =>
        createRelay({ url, ownerUserId: id, accessToken: () => token, resumableFrom: PIECE, initialBackoffMs: 50 }),
      ),
    );
    try {
      const small = await own.sync(world.request({ seed: 15 }));
      const large = await own.sync(world.request({ seed: 16, image: LARGE }));
      assert.equal((await world.rows(`id=in.(${small.imageId},${large.imageId})`)).length, 2, "their rows");
      assert.ok((await world.read(large.storagePath)).bytes.equals(LARGE), "the large one's bytes, by a ticket");
      const { images } = await own.list({ limit: 100 });
      const { signedUrl } = images.find(({ imageId }) => imageId === small.imageId);
      assert.ok(Buffer.from(await (await fetch(signedUrl)).arrayBuffer()).equals(PNG), "the small one's, by its link");
      assert.deepEqual((await stranger.list({ limit: 100 })).images, [], "a stranger lists them");
      await stranger.remove(small).catch(() => {});
      assert.ok((await world.read(small.storagePath)).bytes.equals(PNG), "a stranger removed one");
      await own.remove(small);
      assert.deepEqual(await world.rows(`id=eq.${small.imageId}`), []);
      assert.equal(await own.signedUrl(small.storagePath).catch(({ code }) => code), "object_missing");
    } finally {
      own.free();
      stranger.free();
      await close();
    }
  },

  async an_outbox_in_a_browser_sends_when_the_network_is_back(world) {
    if (!world.browser) return world.skip("needs a browser: CHROME=…");
    const { page, close } = await world.browser();
    try {
      world.proxy.offline(true);
      const { id: imageId } = await page("enqueue");
      world.proxy.offline(false);
      await page("drained");
      assert.equal((await world.rows(`id=eq.${imageId}`)).length, 1);
    } finally {
      world.proxy.offline(false);
      await close();
    }
  },
};

/** A sink for a user, by the proxy. */
export const sinkFor = ({ proxy, key }, user, options) =>
  createSink({
    ...{ url: proxy.url, apiKey: key, ownerUserId: user.id, pathPrefix: user.id, accessToken: () => user.token },
    ...{ initialBackoffMs: 50, resumableFrom: PIECE, chunkSize: PIECE, ...options },
  });

/** The image of all promises but the large one. */
export const IMAGE = PNG;
