// Clients that go away: at each request that the Worker makes for them. What was begun is ended, and nothing is kept from others.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { encode, fields, file, PIXEL, PNG, putUpload, startBench } from "./support.mjs";

let bench;
let user;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5" });
  user = await bench.supabase.createUser();
});
after(() => bench?.close());

const request = () => fields({ slug: randomUUID(), imageId: randomUUID() });
const authorization = () => ({ authorization: `Bearer ${user.accessToken}` });

async function stored({ slug, imageId }) {
  const rows = await bench.supabase.sql("select id from imagen.images where id = $1", [imageId]);
  const objects = await bench.supabase.sql(
    "select name from storage.objects where name like $1 or name like $2 order by name",
    [`%${slug}%`, `.incoming/%${imageId}%`],
  );
  return { rows: rows.length, objects: objects.map(({ name }) => name.replace(/^.*\//, "")) };
}

/** A form of an image with a small picture, as `POST /api/sync` takes it. */
async function formOf(asked) {
  const form = new FormData();
  form.append("request", JSON.stringify(asked));
  form.append("image", file(PNG));
  form.append("thumbnail", file(PIXEL));
  return encode(form, authorization());
}

/** What each way begins with, what it sends then, and what has to be there when it has ended. */
const WAYS = {
  "an upload": {
    begin: async (asked) => ({ path: "/api/sync?ttl=60", method: "POST", ...(await formOf(asked)) }),
    end: ({ slug }) => ({ rows: 1, objects: [`${slug}-42.png`] }),
  },
  "a commit": {
    async begin(asked) {
      const wish = { ...asked, size: PNG.length, mimeType: "image/png" };
      const ticket = await (await bench.send("/api/tickets", user.accessToken, wish)).json();
      assert.equal((await putUpload(ticket, PNG)).status, 200);
      const headers = { ...authorization(), "content-type": "application/json" };
      const path = `/api/tickets/${ticket.ticket}/commit?ttl=60`;
      return { path, method: "POST", headers, body: JSON.stringify(asked) };
    },
    end: ({ slug }) => ({ rows: 1, objects: [`${slug}-42.png`] }),
  },
  "a removal": {
    async begin(asked) {
      const parts = { request: asked, image: file(PNG), thumbnail: file(PIXEL) };
      assert.equal((await bench.post(user.accessToken, parts)).status, 201);
      return { path: `/api/images/${asked.imageId}`, method: "DELETE", headers: authorization() };
    },
    end: () => ({ rows: 0, objects: [] }),
  },
};

for (const [name, { begin, end }] of Object.entries(WAYS)) {
  test(`at whichever request of ${name} its client goes away, it is ended`, async (t) => {
    let requests = 1;
    const earlier = [];
    for (let at = 0; at < requests; at += 1) {
      const asked = request();
      const { path, ...init } = await begin(asked);
      const gone = new AbortController();
      let made = 0;
      bench.front.before = async ({ path }) => {
        // The end of an image is seen before the Worker has made its last requests for it.
        if (path.endsWith("/health") || earlier.some((name) => path.includes(name)) || made++ !== at) return;
        gone.abort();
        // workerd has heard of it by the time it answers another request.
        await bench.call("/api/health");
      };
      try {
        await assert.rejects(fetch(bench.url + path, { ...init, signal: gone.signal }), { name: "AbortError" });
        const wanted = JSON.stringify(end(asked));
        // A small picture that takes longer than two seconds is left out: no image waits for it.
        const isEnded = ({ rows, objects }) =>
          JSON.stringify({ rows, objects: objects.filter((name) => rows === 0 || !name.endsWith(".thumb")) }) ===
          wanted;
        await until(async () => isEnded(await stored(asked)), `the end, gone at request ${at}: ${wanted}`);
      } finally {
        bench.front.before = undefined;
        earlier.push(asked.slug, asked.imageId);
      }
      requests = Math.max(requests, made);
    }
    t.diagnostic(`${requests} requests`);
    assert.ok(requests > 2);
  });
}

test("whoever comes after them finds room", async () => {
  const posts = Array.from({ length: 12 }, () =>
    bench.post(user.accessToken, { request: request(), image: file(PNG) }),
  );
  for (const { status } of await Promise.all(posts)) assert.equal(status, 201);
});
