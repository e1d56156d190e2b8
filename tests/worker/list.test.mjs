// The user's images page by page, and the links that come with them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "../support/until.mjs";
import { BUCKET, fields, file, PIXEL, PNG, putUpload, startBench } from "./support.mjs";

let bench;
let user;
let other;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5", BODY_WAIT_MS: "180000", COLUMNS: "project_id, tags" });
  await bench.supabase.script("alter table imagen.images add column project_id text, add column secret text");
  user = await bench.supabase.createUser();
  other = await bench.supabase.createUser();
});
after(() => bench?.close());

const request = (changes) => fields({ slug: randomUUID(), imageId: randomUUID(), ...changes });
const get = async (path, token = user.accessToken) => {
  const response = await bench.call(path, { headers: { authorization: `Bearer ${token}` } });
  const { code, detail, title, type, requestId, status, ...body } = await response.json();
  return { status: response.status, ...body, ...(code !== undefined && { code }) };
};
const send = async (request, query = "", token = user.accessToken) => {
  const form = new FormData();
  form.append("request", JSON.stringify(request));
  form.append("image", file(PNG));
  const encoded = new Response(form);
  const response = await bench.call(`/api/sync${query}`, {
    method: "POST",
    body: await encoded.arrayBuffer(),
    headers: { authorization: `Bearer ${token}`, "content-type": encoded.headers.get("content-type") },
  });
  return { ...(await response.json()), status: response.status };
};
/** Sends a pixel by ticket, with its link. */
async function commitOf(asked) {
  const wish = { ...asked, size: PIXEL.length, mimeType: "image/png" };
  const ticket = await (await bench.send("/api/tickets", user.accessToken, wish)).json();
  assert.equal((await putUpload(ticket, PIXEL)).status, 200);
  const response = await bench.send(`/api/tickets/${ticket.ticket}/commit?ttl=60`, user.accessToken, asked);
  return { ...(await response.json()), status: response.status };
}
const isLink = async (url) => assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), PNG);

test("a user's images are listed by pages, the newest first, all of them once, and nobody else's", async () => {
  const sent = [];
  for (let index = 0; index < 5; index += 1) sent.unshift((await send(request())).imageId);
  const theirs = await send(request(), "", other.accessToken);
  const seen = [];
  let before = "";
  do {
    const page = await get(`/api/images?limit=2${before && `&before=${encodeURIComponent(before)}`}`);
    assert.equal(page.status, 200);
    assert.ok(page.images.length <= 2);
    seen.push(...page.images.map(({ imageId }) => imageId));
    before = page.before;
  } while (before !== null);
  assert.deepEqual(seen, sent);
  const page = await get("/api/images", other.accessToken);
  assert.deepEqual([page.images.map(({ imageId }) => imageId), page.before], [[theirs.imageId], null]);
});

test("an image is answered alike alone and in a list, with all digits of its seed and no link that nobody asked for", async () => {
  const asked = request({ seed: "-9223372036854775808", prompt: "灯台", sidecar: { a: [1] } });
  const { storagePath } = await send(asked);
  const image = await get(`/api/images/${asked.imageId}`);
  const { status, createdAt, promptHash, ...told } = image;
  assert.match(createdAt, /^\d{4}-\d\d-\d\dT[\d:.]+\+00:00$/);
  assert.match(promptHash, /^[0-9a-f]{64}$/);
  const [unknown, known] = [true, false].map((isNull) =>
    Object.fromEntries(Object.entries(told).filter(([, value]) => (value === null) === isNull)),
  );
  assert.deepEqual(known, {
    imageId: asked.imageId,
    storagePath,
    ownerUserId: user.id,
    prompt: asked.prompt,
    backend: "test",
    seed: asked.seed,
    width: 320,
    height: 240,
    sidecar: { a: [1] },
  });
  for (const name of ["model", "steps", "latencyMs", "costUsdEstimate"]) assert.equal(unknown[name], null, name);
  const [listed] = (await get("/api/images?limit=1")).images;
  assert.deepEqual({ status, ...listed }, image);
});

test("links come where their time is asked for, by each route that has images", async () => {
  const asked = request();
  const done = await send(asked, "?ttl=60");
  assert.equal(done.status, 201);
  await isLink(done.signedUrl);
  await isLink((await get(`/api/images/${asked.imageId}?ttl=60`)).signedUrl);
  await isLink((await get("/api/images?ttl=60&limit=1")).images[0].signedUrl);
  const committed = await commitOf(request());
  assert.equal(committed.status, 201);
  assert.equal((await fetch(committed.signedUrl)).status, 200);
});

test("the link is signed while the row is inserted, and no image waits for it", async () => {
  for (const isTicket of [false, true]) {
    const held = { insert: Promise.withResolvers(), sign: Promise.withResolvers() };
    // Each goes on only when the other has come too.
    bench.front.before = async ({ method, path }) => {
      if (method !== "POST") return;
      const isInsert = path.startsWith("/rest/v1/images");
      if (!isInsert && !path.includes("/object/sign/")) return;
      (isInsert ? held.insert : held.sign).resolve();
      await Promise.all([held.insert.promise, held.sign.promise]);
    };
    try {
      const done = isTicket ? await commitOf(request()) : await send(request(), "?ttl=60");
      assert.deepEqual([done.status, typeof done.signedUrl], [201, "string"]);
    } finally {
      bench.front.before = undefined;
    }
  }
});

test("a link that can't be had fails no image", async () => {
  bench.front.before = async ({ path }, response) => {
    if (!path.includes("/object/sign/")) return;
    response.writeHead(400, { "content-type": "application/json" });
    response.end('{"statusCode":"403","error":"Unauthorized","message":"no"}');
  };
  try {
    const done = await send(request(), "?ttl=60");
    assert.deepEqual([done.status, done.signedUrl], [201, null]);
  } finally {
    bench.front.before = undefined;
  }
});

test("a link whose answer is lost, or is none, is asked for again", async () => {
  const { storagePath } = await send(request());
  const isSigning = ({ method, path }) => method === "POST" && path.includes("/object/sign/");
  for (const spoil of ["lost", "another's page"]) {
    let asked = 0;
    if (spoil === "lost") bench.front.lose = (request) => isSigning(request) && asked++ === 0;
    else {
      bench.front.before = async (request, response) => {
        if (isSigning(request) && asked++ === 0) response.writeHead(200).end("<html>");
      };
    }
    try {
      const { status, url } = await get(`/api/signed-url?path=${encodeURIComponent(storagePath)}`);
      assert.deepEqual([status, asked], [200, 2], spoil);
      assert.equal((await fetch(url)).status, 200);
    } finally {
      bench.front.lose = undefined;
      bench.front.before = undefined;
    }
  }
});

test("an image whose object is gone is listed without a link", async () => {
  const { imageId, storagePath } = await send(request());
  assert.equal((await bench.admin.storage.from(BUCKET).remove([storagePath])).error, null);
  assert.equal((await get(`/api/images/${imageId}?ttl=60`)).signedUrl, null);
});

test("a smaller picture is asked of Storage, by a link and by each of a list", async () => {
  const { imageId, storagePath } = await send(request());
  const asked = [];
  bench.front.before = async ({ method, path }, response) => {
    if (method !== "POST" || !path.includes("/object/sign/")) return;
    asked.push(path);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(`{"signedURL":"/render/image/sign/${BUCKET}/${storagePath}?token=x"}`);
  };
  const link = "ttl=60&width=100&height=50&resize=contain&quality=20&format=origin";
  try {
    for (const path of [
      `/api/signed-url?path=${encodeURIComponent(storagePath)}&${link}`,
      `/api/images/${imageId}?${link}`,
      `/api/images?limit=1&${link}`,
    ]) {
      const told = await get(path);
      const url = told.url ?? told.signedUrl ?? told.images[0].signedUrl;
      assert.ok(url.includes("/render/image/sign/"), url);
    }
  } finally {
    bench.front.before = undefined;
  }
  assert.equal(asked.length, 3);
});

test("columns of one's own are told and taken where the settings name them, and no others", async () => {
  const { imageId } = await send(request());
  await bench.supabase.sql("update imagen.images set project_id = 'p', secret = 's' where id = $1", [imageId]);
  assert.deepEqual((await get(`/api/images/${imageId}?columns=project_id`)).columns, { project_id: "p" });
  for (const name of ["secret", "owner_user_id"]) {
    const refused = { status: 400, code: "invalid_request", field: `columns.${name}` };
    assert.deepEqual(await get(`/api/images?columns=project_id,${name}`), refused);
    const { status, code, field } = await send(request({ columns: { [name]: "x" } }));
    assert.deepEqual({ status, code, field }, refused);
    const wish = request({ size: 1, mimeType: "image/png", columns: { [name]: "x" } });
    assert.equal((await (await bench.send("/api/tickets", user.accessToken, wish)).json()).field, `columns.${name}`);
  }
});

test("a column that is asked for again and again comes once", async () => {
  await send(request({ columns: { project_id: "p" } }));
  const before = bench.front.requests.length;
  const { status, images } = await get(`/api/images?limit=1&columns=${"project_id,".repeat(1_000)}`);
  assert.deepEqual([status, images[0].columns], [200, { project_id: "p" }]);
  const [{ path }] = bench.front.requests
    .slice(before)
    .filter(({ path }) => path.startsWith("/rest/v1/images?select="));
  assert.equal(path.split("project_id").length, 2);
});

test("as many smaller pictures as a list may have take no more requests than a Worker may make", async () => {
  await bench.supabase.sql(
    `insert into imagen.images (owner_user_id, storage_path, prompt, prompt_hash, backend)
      select '${other.id}', '${other.id}/many/' || n || '.png', 'x', repeat('0', 64), 'test' from generate_series(1, 60) n`,
  );
  for (const [query, count] of [
    ["limit=45", 45],
    ["limit=45&thumbnail=true", 45],
    ["thumbnail=true", 24],
  ]) {
    const before = bench.front.requests.length;
    const { status, images } = await get(`/api/images?ttl=60&width=10&${query}`, other.accessToken);
    assert.deepEqual([status, images.length], [200, count]);
    const made = bench.front.requests.length - before;
    assert.ok(made <= 48, `${made} requests for ${query}, and two may be for the issuer's keys`);
  }
});

/** Questions for as many rows as there are: a list's, and a removal's for those of one path. */
const FOR_ROWS = /^\/rest\/v1\/images\?(select=|storage_path=[^&]*&select=id,)/;

/** Has the front answer them in its own way. */
async function whereRows(answer, work) {
  bench.front.before = async ({ method, path }, response) => {
    if (method === "GET" && FOR_ROWS.test(path)) await answer(response);
  };
  try {
    return await work();
  } finally {
    bench.front.before = undefined;
  }
}

/** Has the front answer them with blanks for as long as anybody reads. */
async function whereRowsHaveNoEnd(work) {
  let [sent, asked] = [0, 0];
  const endless = (response) => {
    asked += 1;
    response.writeHead(200, { "content-type": "application/json" });
    const piece = Buffer.alloc(64 * 1024, " ");
    const more = () => {
      while (!response.destroyed && response.write(piece)) sent += piece.length;
    };
    response.on("drain", more);
    more();
    return new Promise((resolve) => response.once("close", resolve)).then(() => response.end());
  };
  const told = await whereRows(endless, work);
  return { told, asked, sent };
}

test("a page whose texts would fill the memory is read no further than it may be, and fewer images are to be had", async () => {
  const writer = await bench.supabase.createUser();
  // As a user may write them past the Worker.
  await bench.supabase.sql(
    `insert into imagen.images (owner_user_id, storage_path, prompt, prompt_hash, backend)
      select '${writer.id}', '${writer.id}/long/' || n || '.png', repeat('p', 1000000), repeat('0', 64), 'test'
        from generate_series(1, 9) n`,
  );
  const ask = (query) => get(`/api/images?${query}`, writer.accessToken);
  for (const query of ["limit=9", "", "limit=500"]) {
    assert.deepEqual(await ask(query), { status: 413, code: "too_large", field: "limit" });
  }
  assert.equal((await ask("limit=7")).images.length, 7);
  const { told, asked, sent } = await whereRowsHaveNoEnd(() => ask("limit=1"));
  assert.deepEqual([told.code, asked], ["too_large", 2], "once for what is usual, and once for as much as may be");
  assert.ok(sent < 40 * 1024 * 1024, `${sent} bytes`);
});

test("rows of one path without end are read no further by a removal", async () => {
  const { storagePath } = await send(request());
  const { told, sent } = await whereRowsHaveNoEnd(async () => {
    const headers = { authorization: `Bearer ${user.accessToken}` };
    return (await bench.call(`/api/images?storagePath=${storagePath}`, { method: "DELETE", headers })).json();
  });
  assert.equal(told.code, "too_large");
  assert.ok(sent < 40 * 1024 * 1024, `${sent} bytes`);
});

test("as many pages are read at once as the memory has room for, and a user keeps nobody else waiting", async () => {
  const asking = [];
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  const ask = (query, { accessToken }) => get(`/api/images?${query}`, accessToken);
  const held = async () => {
    asking.push(1);
    await released;
  };
  await whereRows(held, async () => {
    const many = Array.from({ length: 20 }, () => ask("limit=500", user));
    await until(() => asking.length === 1, "the first one's page");
    const theirs = ask("limit=1", other);
    await until(() => asking.length === 2, "the other one's page");
    release();
    for (const { status } of await Promise.all([...many, theirs])) assert.equal(status, 200);
  });
});

test("rows are read by as many removals at once as the memory has room for", async () => {
  const remove = async (storagePath, { accessToken }) => {
    const headers = { authorization: `Bearer ${accessToken}` };
    const query = new URLSearchParams({ storagePath });
    return (await bench.call(`/api/images?${query}`, { method: "DELETE", headers })).status;
  };
  const asking = { [user.id]: 0, [other.id]: 0 };
  let release;
  const released = new Promise((resolve) => {
    release = resolve;
  });
  bench.front.before = async ({ method, path }) => {
    if (method !== "GET" || !FOR_ROWS.test(path)) return;
    asking[path.includes(user.id) ? user.id : other.id] += 1;
    await released;
  };
  try {
    const many = Array.from({ length: 40 }, () => remove(`${user.id}/none.png`, user));
    const isLook = ({ path }) => path.includes(`${user.id}%2Fnone.png`) && path.includes("created_at.desc");
    await until(() => bench.front.requests.filter(isLook).length === 40, "all of them");
    const theirs = remove(`${other.id}/none.png`, other);
    await until(() => asking[other.id] === 1, "the other user's");
    assert.ok(asking[user.id] > 1 && asking[user.id] <= 8, `${asking[user.id]} at once`);
    release();
    assert.deepEqual(new Set(await Promise.all([...many, theirs])), new Set([200]));
  } finally {
    release();
    bench.front.before = undefined;
  }
});

test("a query that no list or link takes is refused by its field, before anything is sent", async () => {
  const before = bench.front.requests.length;
  for (const [query, field] of [
    ["limit=0", "limit"],
    ["limit=501", "limit"],
    ["limit=1&limit=2", "limit"],
    ["limit=46&ttl=60&width=10", "limit"],
    ["limit=46&ttl=60&width=10&thumbnail=true", "limit"],
    ["before=x", "before"],
    ["ttl=0", "ttl"],
    ["ttl=86401", "ttl"],
    ["width=10", "ttl"],
    ["ttl=60&width=2501", "width"],
    ["ttl=60&height=0", "height"],
    ["ttl=60&quality=19", "quality"],
    ["ttl=60&resize=none", "resize"],
    ["ttl=60&format=webp", "format"],
    ["ttl=60&thumbnail=1", "thumbnail"],
    ["ttl=60&thumbnail=true&thumbnail=true", "thumbnail"],
    ["thumbnail=true", "ttl"],
  ]) {
    assert.deepEqual(await get(`/api/images?${query}`), { status: 400, code: "invalid_request", field }, query);
  }
  assert.equal((await send(request(), "?ttl=x")).field, "ttl");
  assert.equal(bench.front.requests.length, before);
});
