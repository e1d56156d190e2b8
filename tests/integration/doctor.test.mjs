// checkProject finds what is set up wrong in a project, says the remedy, and leaves nothing behind.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { checkProject, createSink } from "imagen-cloud";
import { createFakeProject } from "imagen-cloud/testing";
import { signJwt } from "../../supabase/keys.mjs";
import { startBrowser } from "../support/browser.mjs";
import { startEmbedded } from "../support/embedded.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { shared } from "../support/shared.mjs";
import { startSite as startPackage } from "../support/site.mjs";

const ROOT = new URL("../../", import.meta.url);
const CLI = fileURLToPath(new URL("pkg/cli.js", ROOT));
const MIGRATIONS = new URL("supabase/migrations/", ROOT);
const sql = (
  await Promise.all((await readdir(MIGRATIONS)).sort().map((file) => readFile(new URL(file, MIGRATIONS), "utf8")))
).join("\n");
const orphans = await readFile(new URL("20260801000000_imagen_orphans.sql", MIGRATIONS), "utf8");

let backend;
let user;
let site;
let right;

before(async () => {
  backend = await startEmbedded();
  user = await backend.createUser();
  site = await startSite();
  right = {
    url: backend.url,
    apiKey: backend.publishableKey,
    secretKey: backend.secretKey,
    accessToken: user.accessToken,
    page: site.url,
  };
});
after(async () => {
  await site?.close();
  await backend?.close();
});

/** A page as a bundler leaves it: a script, and in that the WebAssembly's address. */
async function startSite() {
  const wasm = await readFile(new URL("pkg/wasm/imagen_cloud_bg.wasm", ROOT));
  const how = {};
  const server = createServer((request, response) => {
    const policy =
      how.policy ?? `script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${new URL(backend.url).origin}`;
    const files = {
      "/": ["text/html", '<!doctype html><script type="module" src="/assets/index-a1.js"></script>'],
      "/assets/index-a1.js": ["text/javascript", 'const more = () => import("./lazy-b2.js");'],
      "/assets/lazy-b2.js": ["text/javascript", 'new URL("/assets/imagen_cloud_outbox_bg-c3.wasm",import.meta.url)'],
      "/assets/imagen_cloud_outbox_bg-c3.wasm": [how.type ?? "application/wasm", wasm],
    };
    const [type, body] = files[request.url] ?? how.missing ?? ["text/html", "no such file"];
    response.writeHead(files[request.url] ? 200 : 404, { "content-type": type, "content-security-policy": policy });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    how,
    close: () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      return closed;
    },
  };
}

/** The statement of the migrations that makes a policy. */
const policy = (name) => policiesNamed(name).at(-1);
/** The one that a later migration puts another in the place of. */
const policyBefore = (name) => policiesNamed(name).at(-2);
function policiesNamed(name) {
  const found = [...sql.matchAll(/create policy "([^"]+)"[^;]+;/g)];
  return found.filter(([, own]) => own === name).map(([statement]) => statement);
}
const dropped = (name, table) => ({
  plant: `drop policy "${name}" on ${table}`,
  undo: policy(name),
});
const bucket = (plant, undo) => ({
  plant: `update storage.buckets set ${plant} where id = 'imagen-generated'`,
  undo: `update storage.buckets set ${undo} where id = 'imagen-generated'`,
});
const token = (claims) => {
  const now = Math.floor(Date.now() / 1000);
  const own = { sub: user.id, role: "authenticated", aud: "authenticated", iat: now, exp: now + 3600 };
  return signJwt({ ...own, ...claims }, backend.jwtSecret);
};
/** A gateway that answers otherwise where `change` gives an answer. */
const through = (change) => async (url, init) => {
  const request = new Request(url, init);
  return change(request, () => fetch(url, init)) ?? fetch(url, init);
};
const withHeader = async (response, name, value) => {
  const { status, headers } = await response;
  const changed = new Headers(headers);
  changed.set(name, value);
  return new Response(status === 204 ? null : await (await response).arrayBuffer(), { status, headers: changed });
};

const everything = () =>
  backend.sql(
    `select (select count(*)::int from imagen.images) as rows, (select count(*)::int from storage.objects) as objects`,
  );

const NEW_MIGRATION = /npx --no-install imagen-cloud migration/;
const UPDATE = /older than this package.*migration --update/;

/**
 * What was planted: SQL and what undoes it, or options; which check finds it, with words of its message and of its remedy;
 * `also` are the checks that can't be right then either.
 */
const MISTAKES = {
  "the address is another site's": {
    options: () => ({ url: site.url }),
    finds: ["address", /no Supabase/, /the project's/],
  },
  "the address is the dashboard's": {
    options: () => ({ url: "https://supabase.com/dashboard/project/abcdefghijklmnopqrst" }),
    finds: ["address", /dashboard/, /https:\/\/abcdefghijklmnopqrst\.supabase\.co/],
  },
  "the address is the database's, with its password": {
    options: () => ({ url: "postgresql://postgres:hush-hush@db.abcd.supabase.co:5432/postgres" }),
    finds: ["address", /^that is the database's address/, /https:\/\/abcd\.supabase\.co/],
  },
  "the same, of a password that no address can have": {
    options: () => ({ url: "https://postgres:hush/hush@db.abcd.supabase.co:5432" }),
    finds: ["address", /^what was given is no address$/, /https:\/\/abcd\.supabase\.co/],
  },
  "nothing answers there": {
    options: () => ({ url: "http://127.0.0.1:9" }),
    finds: ["address", /gives no answer/, /spelled right/],
  },
  "the project is paused": {
    options: () => ({ fetch: async () => new Response("<h1>Project paused</h1>", { status: 540 }) }),
    finds: ["address", /is paused/, /Restore it in the dashboard/],
  },
  "the project is over its plan's limits": {
    options: () => ({
      fetch: async () => Response.json({ message: "restricted: exceed_egress_quota" }, { status: 402 }),
    }),
    finds: ["address", /restricts the project.*exceed_egress_quota/, /usage and billing/],
  },
  "a gateway has lost its server": {
    options: () => ({ fetch: async () => new Response("<h1>Web server is down</h1>", { status: 521 }) }),
    finds: ["address", /can't do it now.*521/, /again in a while/],
  },
  "the key is another project's": {
    options: () => ({ apiKey: "sb_publishable_of-another-project_0000" }),
    finds: ["key", /refuses the key/, /same project/],
  },
  "a key of another hosted project": {
    options: () => ({ url: "https://abcd.supabase.co", apiKey: signJwt({ role: "anon", ref: "efgh" }, "secret") }),
    finds: ["key-kind", /efgh's.*abcd's/, /same project/],
  },
  "a secret key for a page": {
    options: () => ({ apiKey: backend.secretKey }),
    finds: ["key-kind", /secret key/, /publishable key/],
  },
  "a user's token for a key": {
    options: () => ({ apiKey: user.accessToken }),
    finds: ["key-kind", /user's token/, /publishable key as the key/],
  },
  "the clock is ten minutes off": {
    options: () => ({
      fetch: through((_, answer) => withHeader(answer(), "date", new Date(Date.now() + 600_000).toUTCString())),
    }),
    finds: ["clock", /10 minutes behind/, /time server/],
  },
  "the origin may not ask": {
    options: () => ({
      fetch: through(({ method }, answer) =>
        method === "OPTIONS" ? withHeader(answer(), "access-control-allow-origin", "https://other.example") : undefined,
      ),
    }),
    finds: ["cors", /other\.example/, /preflights/],
  },
  "the gateway takes no removals": {
    options: () => ({
      fetch: through(({ method }, answer) =>
        method === "OPTIONS"
          ? withHeader(answer(), "access-control-allow-methods", "GET, POST, PUT, PATCH, HEAD")
          : undefined,
      ),
    }),
    finds: ["cors", /DELETE.*the method is not allowed/, /methods/],
  },
  "the gateway hides how far a resumable upload is": {
    options: () => ({
      fetch: through((_, answer) => withHeader(answer(), "access-control-expose-headers", "location")),
    }),
    finds: ["cors", /may not read upload-offset/, /Upload-Offset/],
  },
  "the gateway forgets a header of resumable uploads": {
    options: () => ({
      fetch: through(({ method }, answer) =>
        method === "OPTIONS"
          ? withHeader(
              answer(),
              "access-control-allow-headers",
              "apikey, authorization, content-type, accept-profile, content-profile, prefer, x-upsert, cache-control",
            )
          : undefined,
      ),
    }),
    finds: ["cors", /tus-resumable/, /headers/],
  },
  "the schema is not exposed": {
    plant: "create schema studio; create table studio.images (id uuid)",
    undo: "drop schema studio cascade",
    options: () => ({ schema: "studio" }),
    finds: ["schema", /studio is not exposed/, /exposed schemas/],
  },
  "the migrations have not run": {
    plant:
      "alter table imagen.images rename to kept; update storage.buckets set name = 'kept', id = 'kept' where id = 'imagen-generated'",
    undo: "alter table imagen.kept rename to images; update storage.buckets set name = 'imagen-generated', id = 'imagen-generated' where id = 'kept'",
    finds: ["table", /no table imagen\.images/, NEW_MIGRATION],
    also: ["bucket"],
  },
  "the table has another name": {
    options: () => ({ table: "pictures" }),
    finds: ["table", /no table imagen\.pictures/, NEW_MIGRATION],
  },
  "two columns are missing": {
    plant: "alter table imagen.images rename sidecar to aside; alter table imagen.images rename latency_ms to latency",
    undo: "alter table imagen.images rename aside to sidecar; alter table imagen.images rename latency to latency_ms",
    finds: ["columns", /lacks latency_ms, sidecar/, NEW_MIGRATION],
  },
  "the role may not use the schema": {
    plant: "revoke usage on schema imagen from authenticated, service_role",
    undo: "grant usage on schema imagen to authenticated, service_role",
    finds: ["table", /may not read imagen\.images/, NEW_MIGRATION],
  },
  "the token has expired": {
    options: () => ({ accessToken: token({ exp: Math.floor(Date.now() / 1000) - 3600 }) }),
    finds: ["token", /expired 60 minutes ago/, /Sign in again/],
  },
  "the token is another project's": {
    options: () => ({ accessToken: `${token().slice(0, -4)}AAAA` }),
    finds: ["token", /refuses the user's token/, /this project's/],
  },
  "nobody is signed in": {
    options: () => ({ accessToken: () => "" }),
    finds: ["token", /nobody is signed in/, /Sign in/],
  },
  "the bucket is missing": {
    options: () => ({ bucket: "pictures" }),
    finds: ["bucket", /no bucket pictures/, NEW_MIGRATION],
  },
  "the bucket is public": {
    ...bucket("public = true", "public = false"),
    finds: ["bucket-private", /is public/, /Make the bucket private/],
  },
  "two MIME types are missing": {
    ...bucket(
      "allowed_mime_types = array['image/png','image/jpeg','image/gif']",
      "allowed_mime_types = array['image/png','image/jpeg','image/webp','image/avif','image/gif']",
    ),
    finds: ["bucket-types", /does not take image\/webp, image\/avif/, /allowed MIME types/],
  },
  "the size limit is too small": {
    ...bucket("file_size_limit = 1048576", "file_size_limit = 104857600"),
    finds: ["bucket-size", /no image of 50000000 bytes/, /Raise/],
  },
  "a user may not write to their own folder": {
    ...dropped("imagen: users add to their own folder", "storage.objects"),
    finds: ["objects-add", /may not add an object/, NEW_MIGRATION],
  },
  "a user may not read their own folder": {
    plant: `drop policy "imagen: users read their own folder" on storage.objects`,
    undo: policy("imagen: users read their own folder"),
    finds: ["objects-read", /may not read an object/, NEW_MIGRATION],
    also: ["objects-remove"],
  },
  "a user may not overwrite": {
    ...dropped("imagen: users overwrite in their own folder", "storage.objects"),
    finds: ["objects-overwrite", /may not overwrite/, NEW_MIGRATION],
  },
  "a user may not remove objects": {
    ...dropped("imagen: users remove from their own folder", "storage.objects"),
    finds: ["objects-remove", /may not remove an object/, NEW_MIGRATION],
  },
  "a user may write to another's folder": {
    plant: `create policy "too much" on storage.objects for insert to authenticated with check (bucket_id = 'imagen-generated')`,
    undo: `drop policy "too much" on storage.objects`,
    finds: ["objects-others", /add objects to another's folder/, /Drop policies/],
  },
  "a user may read another's folder": {
    plant: `create policy "too much" on storage.objects for select to authenticated using (bucket_id = 'imagen-generated')`,
    undo: `drop policy "too much" on storage.objects`,
    finds: ["objects-others", /read another's objects/, /Drop policies/],
  },
  "a user may not add rows": {
    ...dropped("users add their own images", "imagen.images"),
    finds: ["rows-add", /may not add a row/, NEW_MIGRATION],
  },
  "a user may not read rows": {
    ...dropped("users read their own images", "imagen.images"),
    finds: ["rows-read", /may not read a row/, NEW_MIGRATION],
    also: ["server-images"],
  },
  "a user may not remove rows": {
    ...dropped("users remove their own images", "imagen.images"),
    finds: ["rows-remove", /may not remove a row/, NEW_MIGRATION],
  },
  "a user may add rows in another's name": {
    plant: `create policy "too much" on imagen.images for insert to authenticated with check (true)`,
    undo: `drop policy "too much" on imagen.images`,
    finds: ["rows-others", /in another's name/, /row-level security/],
  },
  "the second migration has not run": {
    plant: `drop policy "imagen: users read what their own rows name" on storage.objects`,
    undo: policy("imagen: users read what their own rows name"),
    finds: ["server-images", /the image and the thumbnail that a server made/, UPDATE],
  },
  "the migration for thumbnails has not run": {
    plant: `drop policy "imagen: users read what their own rows name" on storage.objects; ${policyBefore("imagen: users read what their own rows name")}`,
    undo: `drop policy "imagen: users read what their own rows name" on storage.objects; ${policy("imagen: users read what their own rows name")}`,
    finds: ["server-images", /not read the thumbnail that a server made/, UPDATE],
  },
  "the migration for what was left alone has not run": {
    plant: "drop function imagen.orphaned_objects(interval); notify pgrst, 'reload schema'",
    undo: orphans,
    finds: ["orphans", /no function imagen\.orphaned_objects/, UPDATE],
  },
  "users may list what was left alone": {
    plant: "grant execute on function imagen.orphaned_objects(interval) to authenticated",
    undo: "revoke execute on function imagen.orphaned_objects(interval) from authenticated",
    finds: ["orphans", /users may call/, UPDATE],
  },
  "the page's policy forbids WebAssembly": {
    site: { policy: "default-src 'self'; connect-src *" },
    finds: ["page-policy", /keeps WebAssembly from being compiled/, /'wasm-unsafe-eval'/],
  },
  "the page's policy forbids requests to the project": {
    site: { policy: "script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https://*.supabase.co" },
    finds: ["page-policy", /requests from going to the project/, /connect-src/],
  },
  "the .wasm comes with the wrong type": {
    site: { type: "application/octet-stream" },
    finds: ["page-wasm", /as application\/octet-stream/, /application\/wasm/],
  },
};

test("a_project_that_is_set_up_right_gets_only_ok", async () => {
  const before = await everything();
  const { ok, checks } = await checkProject(right);
  assert.deepEqual(
    checks.filter(({ state }) => state !== "ok"),
    [],
  );
  assert.ok(ok);
  assert.ok(checks.length > 20);
  assert.ok(checks.every(({ remedy }) => remedy === undefined));
  assert.deepEqual(await everything(), before);
});

describe("the doctor finds a mistake by its name, and says the remedy", () => {
  for (const [what, { plant, undo, options, site: changes, finds, also = [] }] of Object.entries(MISTAKES)) {
    test(what, async () => {
      const before = plant?.includes("rename to kept") ? undefined : await everything();
      if (plant) await backend.script(plant);
      Object.assign(site.how, changes);
      try {
        const { ok, checks } = await checkProject({ ...right, ...options?.() });
        const wrong = checks.filter(({ state }) => state === "wrong");
        assert.deepEqual(wrong.map(({ name }) => name).sort(), [finds[0], ...also].sort(), JSON.stringify(wrong));
        assert.equal(ok, false);
        const found = wrong.find(({ name }) => name === finds[0]);
        assert.match(found.message, finds[1]);
        assert.match(found.remedy, finds[2]);
        assertSaysNoSecret(JSON.stringify(checks));
      } finally {
        for (const name of Object.keys(changes ?? {})) delete site.how[name];
        if (undo) await backend.script(undo);
      }
      if (before) assert.deepEqual(await everything(), before, "it leaves nothing behind");
    });
  }
});

function assertSaysNoSecret(text) {
  const secrets = [right.apiKey, right.secretKey, right.accessToken, backend.anonKey, backend.serviceKey];
  for (const secret of secrets) assert.ok(!text.includes(secret), "a key or a token is told");
  assert.doesNotMatch(text, /sb_secret_\w|sb_publishable_\w|eyJ/);
}

test("without_a_secret_key_it_is_as_a_page_that_the_doctor_looks", async () => {
  const before = await everything();
  const { ok, checks } = await checkProject({ ...right, secretKey: undefined });
  assert.ok(ok, JSON.stringify(checks));
  assert.deepEqual(
    checks.filter(({ state }) => state === "unchecked").map(({ name }) => name),
    ["server-images"],
  );
  assert.deepEqual(await everything(), before);
});

test("in_a_page_it_sees_what_a_page_sees", async (t) => {
  const [browser, pages] = await Promise.all([shared(startBrowser), startPackage()]);
  t.after(() => pages.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(pages.url);
  const check = (options) =>
    page.evaluate(async (options) => {
      const { checkProject } = await import("/pkg/browser.js");
      const { checks } = await checkProject(options);
      return Object.fromEntries(checks.map(({ name, state, message }) => [name, state === "ok" ? state : message]));
    }, options);
  const { url, apiKey, accessToken } = right;
  const { "server-images": needsKey, "page-wasm": needsPage, ...rest } = await check({ url, apiKey, accessToken });
  assert.match(needsKey, /^not checked/);
  assert.match(needsPage, /^not checked/);
  assert.deepEqual(new Set(Object.values(rest)), new Set(["ok"]), JSON.stringify(rest));
  assert.match((await check({ url, apiKey: backend.secretKey }))["key-kind"], /secret key/);
  // It answers, but no page may read that.
  assert.match((await check({ url: site.url, apiKey })).cors, /does not let this page ask/);
  await page.clock.setFixedTime(Date.now() - 600_000);
  assert.match((await check({ url, apiKey, accessToken })).clock, /10 minutes behind/);
});

test("on_a_page_over_plain_http_it_looks_as_well_and_a_fake_project_works", async (t) => {
  const [browser, pages] = await Promise.all([shared(startBrowser), startPackage()]);
  t.after(() => pages.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  // As a phone sees the machine that one develops on.
  const address = "http://laptop.example";
  await page.route(`${address}/**`, async (route) => {
    const { pathname } = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: `${pages.url}${pathname}` }) });
  });
  await page.goto(address);
  const wrong = await page.evaluate(async () => {
    if (isSecureContext) throw new Error("this page is no plain one");
    const { checkProject, createSink } = await import("/pkg/browser.js");
    const { createFakeProject } = await import("/pkg/testing/index.js");
    const { options, fetch, rows } = createFakeProject();
    const sink = await createSink(options);
    await sink.sync({
      image: await (await globalThis.fetch("/data/lighthouse.png")).blob(),
      seed: 1,
      prompt: "p",
      backend: "b",
    });
    const { url, apiKey, accessToken } = options;
    const { checks } = await checkProject({ url, apiKey, accessToken, fetch });
    return [rows.length, ...checks.filter(({ state }) => state === "wrong")];
  });
  assert.deepEqual(wrong, [1]);
});

test("what_is_left_where_a_user_may_not_remove_is_named", async () => {
  const name = "imagen: users remove from their own folder";
  await backend.script(`drop policy "${name}" on storage.objects`);
  try {
    const { checks } = await checkProject({ ...right, secretKey: undefined });
    const [left] = await backend.sql("select name from storage.objects where name like '%imagen-cloud-doctor%'");
    const { message } = checks.find(({ name }) => name === "objects-remove");
    assert.ok(message.includes(left.name), message);
  } finally {
    await backend.script(policy(name));
    await backend.script("delete from storage.objects where name like '%imagen-cloud-doctor%'");
  }
});

test("what_it_tries_out_is_removed_also_when_an_answer_is_lost_or_it_is_stopped", async () => {
  const visit = async (breaks) => {
    const project = createFakeProject();
    const stop = new AbortController();
    let asked = 0;
    const fetch = async (...args) => {
      asked += 1;
      return breaks(asked, () => project.fetch(...args), stop);
    };
    const { url, apiKey, accessToken } = project.options;
    const options = { url, apiKey, accessToken, secretKey: project.serverOptions.apiKey, fetch, signal: stop.signal };
    const report = await checkProject(options).catch((error) => {
      if (error !== ENOUGH) throw error;
    });
    return { asked, left: [...project.objects.keys(), ...project.rows.map(({ id }) => id)], report };
  };
  const ENOUGH = new Error("enough");
  const broken = () => {
    throw new TypeError("fetch failed");
  };
  const faults = {
    "not sent": async () => broken(),
    "without an answer": async (send) => {
      await send();
      broken();
    },
    stopped: async (send, stop) => {
      const answer = await send();
      stop.abort(ENOUGH);
      return answer;
    },
  };
  const { asked } = await visit((_, send) => send());
  assert.ok(asked > 30, `${asked} requests`);
  for (const [how, fault] of Object.entries(faults)) {
    for (let nth = 1; nth <= asked; nth++) {
      const { left } = await visit((at, send, stop) => (at === nth ? fault(send, stop) : send()));
      assert.deepEqual(left, [], `request ${nth} ${how}`);
    }
  }
  // From there on there is no line at all: then it says what it could not remove.
  const { left, report } = await visit((at, send) => (at > asked - 12 ? broken() : send()));
  const said = report.checks.map(({ message }) => message).join();
  assert.ok(
    left.every((name) => said.includes(name)),
    `${left}: ${said}`,
  );
});

/** What a visit to a fake project needs. */
function fake(options) {
  const { url, apiKey, accessToken, fetch } = createFakeProject().options;
  return { url, apiKey, accessToken, fetch, ...options };
}

test("a_page_whose_scripts_hold_what_only_looks_like_an_address_is_looked_at", async () => {
  const files = {
    "/": `<script src="https://\${cdn}/x.js"></script><script src="/a.js"></script>`,
    "/a.js": `const load = (host) => import(\`//\${host}/sdk.js\`); const at = '//[/imagen_cloud_bg.wasm'; import('./b.js');`,
    "/b.js": "fetch('/imagen_cloud_bg.wasm')",
    "/imagen_cloud_bg.wasm": "\0asm",
  };
  const project = fake({ page: "https://app.example.com/" });
  const fetch = async (url, init) => {
    const { origin, pathname } = new URL(url);
    if (origin !== "https://app.example.com") return project.fetch(url, init);
    return new Response(files[pathname], { headers: { "content-type": "application/wasm" } });
  };
  const { checks } = await checkProject({ ...project, fetch });
  const found = checks.find(({ name }) => name === "page-wasm");
  assert.deepEqual([found.state, found.message.split(" ")[0]], ["ok", "https://app.example.com/imagen_cloud_bg.wasm"]);
  for (const wasm of ["//[", "data:,x"]) {
    const refused = checkProject({ ...project, fetch, wasm });
    await assert.rejects(refused, ({ code, field }) => code === "invalid_config" && field === "wasm");
  }
});

test("a_source_with_a_path_lets_a_page_ask_for_that_path_alone", async () => {
  const page = "https://app.example.com/";
  const host = "https://fake.supabase.co";
  const parts = ["rest/v1/images", "storage/v1/object/", "storage/v1/upload/resumable"];
  const judged = async (connect, images = host, bare = host) => {
    const project = createFakeProject({ url: bare });
    const policy = `script-src 'wasm-unsafe-eval'; connect-src ${connect}; img-src ${images}`;
    const fetch = async (url, init) =>
      url === page
        ? new Response("<!doctype html>", { headers: { "content-security-policy": policy } })
        : project.fetch(url, init);
    const { apiKey } = project.options;
    const { checks } = await checkProject({ url: bare, apiKey, page, fetch });
    return checks.find(({ name }) => name === "page-policy");
  };
  const all = parts.map((part) => `${host}/${part}`).join(" ");
  for (const connect of [host, `${host}/`, `${host.toUpperCase()}/`, `${host}/rest/ ${host}/storage/v1/`, all])
    assert.equal((await judged(connect)).state, "ok", connect);
  assert.equal((await judged(host, `${host}/storage/v1/object/sign/imagen-generated/`)).state, "ok");
  const lacking = [
    `${host}/rest/v1/`,
    `${host}/storage/v1/`,
    `${host}/rest ${host}/storage/`,
    `${host}/REST/ ${host}/storage/`,
  ];
  for (const connect of lacking) assert.match((await judged(connect)).message, /requests from going to/, connect);
  assert.match((await judged(host, `${host}/storage/v1/object/sign`)).message, /images of the project/);
});

test("a_token_that_never_comes_is_a_finding_and_a_stop_ends_the_wait", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  for (const stops of [false, true]) {
    const stop = new AbortController();
    let asked;
    const isAsked = new Promise((resolve) => {
      asked = resolve;
    });
    const accessToken = () => {
      asked();
      return new Promise(() => {});
    };
    const visit = checkProject(fake({ accessToken, signal: stop.signal }));
    await isAsked;
    if (stops) {
      stop.abort(new Error("enough"));
      await assert.rejects(visit, /enough/);
    } else {
      // Once what waits has begun to.
      await new Promise(setImmediate);
      t.mock.timers.tick(20_000);
      const { checks } = await visit;
      assert.equal(checks.find(({ name }) => name === "token").state, "wrong");
    }
  }
});

test("with_the_publishable_key_alone_it_says_what_it_could_not_look_at", async () => {
  const { url, apiKey } = right;
  const { ok, checks } = await checkProject({ url, apiKey });
  assert.ok(ok);
  assert.equal(checks.find(({ name }) => name === "table").state, "ok");
  assert.match(checks.find(({ name }) => name === "rows-add").message, /needs a user's token/);
});

test("the_doctor_knows_every_column_of_the_migrations", async () => {
  const { COLUMNS } = await import("../../pkg/wasm/columns.js");
  const rows = await backend.sql("select column_name from information_schema.columns where table_schema = 'imagen'");
  assert.deepEqual([...COLUMNS].sort(), rows.map((row) => row.column_name).sort());
});

test("a_page_may_send_all_that_the_package_sends_where_the_doctor_says_so", async () => {
  const project = createFakeProject();
  const { url } = project.options;
  /** What a browser asks leave for: where, in short, how, and which headers. */
  const asked = new Map();
  const sent = [];
  const place = (url) => new URL(url).pathname.replace(/(imagen-generated|resumable)\/.*/, "$1/x");
  const watch = (url, init = {}) => {
    const headers = [...new Headers(init.headers).keys()].filter((name) => name !== "accept");
    sent.push({ method: init.method ?? "GET", place: place(url), headers });
    return project.fetch(url, init);
  };
  const preflight = (url, init) => {
    const { method, headers } = init;
    if (method !== "OPTIONS") return project.fetch(url, init);
    const wanted = new Headers(headers).get("access-control-request-headers").split(",");
    asked.set(`${new Headers(headers).get("access-control-request-method")} ${place(url)}`, wanted);
    const all = { "access-control-allow-origin": "*", "access-control-allow-methods": "*" };
    return Promise.resolve(new Response(null, { headers: { ...all, "access-control-allow-headers": wanted.join() } }));
  };
  const { apiKey, accessToken } = project.options;
  await checkProject({ url, apiKey, accessToken, origin: "https://app.example", fetch: preflight });

  const pieces = { resumableFrom: 1000, chunkSize: 1000, initialBackoffMs: 1 };
  const sink = await createSink({ ...project.options, fetch: watch, cacheControl: "max-age=9", ...pieces });
  const image = (size) => new Blob(["GIF89a\u0001\u0000\u0001\u0000", new Uint8Array(size)]);
  const about = { prompt: "p", backend: "b" };
  const small = await sink.sync({ ...about, seed: 1, image: image(0) });
  project.fail({ on: "resumable", how: "answer-lost", path: "p-2" });
  project.fail({ on: "resumable", how: "unreachable" });
  await sink.sync({ ...about, seed: 2, image: image(2000) }, { signedUrl: 60 });
  await sink.syncMany([3, 4].map((seed) => ({ ...about, seed, image: image(0) })));
  await sink.signedUrls([small.storagePath]);
  await sink.list();
  await sink.remove({ imageId: small.imageId });
  sink.free();
  assert.ok(new Set(sent.map(({ method }) => method)).size >= 5);
  for (const { method, place: where, headers } of sent) {
    // HEAD and GET are simple by their method: their headers are what is asked for.
    const of = [...asked].filter(([what]) => (/^(?:GET|HEAD)$/.test(method) ? true : what === `${method} ${where}`));
    const isAllowed = of.some(([, wanted]) => headers.every((name) => wanted.includes(name)));
    assert.ok(isAllowed, `${method} ${where} with ${headers}`);
  }
});

test("an_unknown_option_is_refused", async () => {
  const refused = { code: "invalid_config", field: "apikey" };
  await assert.rejects(checkProject({ ...right, apikey: "k" }), refused);
});

const run = (args, env = {}) =>
  promisify(execFile)(process.execPath, [CLI, ...args], { env: { PATH: process.env.PATH, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );

test("the_command_says_what_is_wrong_and_what_to_do_and_prints_no_key", async () => {
  const { url, apiKey, secretKey, accessToken, page } = right;
  const env = {
    SUPABASE_URL: url,
    SUPABASE_KEY: apiKey,
    SUPABASE_SECRET_KEY: secretKey,
    IMAGEN_USER_TOKEN: accessToken,
  };
  const well = await run(["doctor", "--page", page], env);
  assert.equal(well.code, 0, well.stdout + well.stderr);
  assert.match(well.stdout, /^ok +bucket-private +the bucket is private$/m);
  const ill = await run(["doctor", "--url", url, "--key", apiKey, "--token", accessToken, "--schema", "studio"]);
  assert.equal(ill.code, 1);
  assert.match(ill.stdout, /^WRONG +schema +.*\n +what to do: +In the dashboard/m);
  for (const { stdout, stderr } of [well, ill]) assertSaysNoSecret(stdout + stderr);
  const json = JSON.parse((await run(["doctor", "--json", "--url", url, "--key", apiKey])).stdout);
  assert.equal(json.ok, true);
  assert.equal((await run(["doctor"])).code, 2);
  assert.match((await run(["nothing"])).stderr, /there is no command nothing/);
});

test("the_command_prints_no_key_that_stands_where_none_belongs", async () => {
  for (const key of ["sb_secret_0123456789abcdef", backend.secretKey, user.accessToken, backend.serviceKey])
    for (const args of [[key], ["doctor", key], ["doctor", `--${key}`], ["migration", key], ["doctor", "--url", key]]) {
      const { code, stdout, stderr } = await run(args, { SUPABASE_KEY: backend.publishableKey });
      assert.notEqual(code, 0);
      assert.ok(!(stdout + stderr).includes(key), args.join(" ").replaceAll(key, "KEY"));
    }
});

test("the_command_that_is_stopped_removes_what_it_has_tried_out", async (t) => {
  const recorder = await startRecorder({ target: backend.url });
  t.after(() => recorder.close());
  const { apiKey, accessToken } = right;
  const env = {
    PATH: process.env.PATH,
    SUPABASE_URL: recorder.url,
    SUPABASE_KEY: apiKey,
    IMAGEN_USER_TOKEN: accessToken,
  };
  const hold = recorder.hold({ method: "POST", image: "imagen-cloud-doctor", at: "answer" });
  const doctor = spawn(process.execPath, [CLI, "doctor"], { env, stdio: ["ignore", "ignore", "pipe"] });
  const [ended, said] = [once(doctor, "exit"), text(doctor.stderr)];
  await hold.reached;
  doctor.kill("SIGINT");
  const [code] = await ended;
  hold.release();
  assert.equal(code, 130);
  assert.match(await said, /^imagen-cloud: stopped/);
  const left = `select (select count(*)::int from imagen.images where backend = 'imagen-cloud doctor') as rows,
                       (select count(*)::int from storage.objects where name like '%imagen-cloud-doctor%') as objects`;
  assert.deepEqual(await backend.sql(left), [{ rows: 0, objects: 0 }]);
});

test("the_command_that_is_stopped_and_can_t_remove_what_it_has_tried_out_says_where_it_is", async (t) => {
  const recorder = await startRecorder({ target: backend.url });
  t.after(() => recorder.close());
  const env = {
    PATH: process.env.PATH,
    SUPABASE_URL: recorder.url,
    SUPABASE_KEY: right.apiKey,
    IMAGEN_USER_TOKEN: right.accessToken,
  };
  const hold = recorder.hold({ method: "POST", image: "imagen-cloud-doctor", target: "/object/", at: "answer" });
  recorder.answer({ method: "DELETE", target: "/object/", status: 500, body: { message: "not now" } });
  const doctor = spawn(process.execPath, [CLI, "doctor"], { env, stdio: ["ignore", "pipe", "pipe"] });
  const [ended, told, said] = [once(doctor, "exit"), text(doctor.stdout), text(doctor.stderr)];
  const { image } = await hold.reached;
  t.after(() => backend.sql("delete from storage.objects where name = $1", [image]));
  doctor.kill("SIGINT");
  assert.equal((await ended)[0], 130);
  hold.release();
  assert.match(await said, /^imagen-cloud: stopped/);
  const line = (await told).split("\n").find((each) => /^WRONG +objects-remove/.test(each));
  assert.ok(line?.includes(`${image}, tried out, may still be there`), line);
});

test("the_command_prints_migrations_that_make_the_same_under_other_names", async () => {
  const { code, stdout, stderr } = await run([
    "migration",
    "--schema",
    "studio",
    "--table",
    "pictures",
    "--bucket",
    "it's mine",
  ]);
  assert.equal(code, 0, stderr);
  await backend.script(stdout);
  const shape = async (schema) => {
    const [counted] = await backend.sql(
      `select (select count(*)::int from information_schema.columns where table_schema = $1) as columns,
              (select count(*)::int from pg_policies where schemaname = $1) as policies,
              (select count(*)::int from pg_indexes where schemaname = $1) as indexes,
              (select count(*)::int from pg_policies where policyname like $1 || ': users%') as storage_policies`,
      [schema],
    );
    return counted;
  };
  assert.deepEqual(await shape("studio"), await shape("imagen"));
  const [made] = await backend.sql("select public from storage.buckets where id = 'it''s mine'");
  assert.equal(made.public, false);
  assert.doesNotMatch(stdout.replaceAll("imagen-cloud", ""), /\bimagen\b/);
});

test("what_the_command_prints_for_an_update_runs_where_the_table_is_and_may_run_twice", async () => {
  const { code, stdout } = await run(["migration", "--update"]);
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /create table/);
  await backend.script("drop function imagen.orphaned_objects(interval); notify pgrst, 'reload schema'");
  for (const _ of [1, 2]) await backend.script(stdout);
  const { ok } = await checkProject(right);
  assert.ok(ok);
});

test("the_command_refuses_names_that_would_do_harm", async () => {
  for (const [flag, value] of [
    ["schema", "public"],
    ["schema", "a b"],
    ["table", `x"; drop`],
    ["bucket", "a/b"],
  ]) {
    const { code, stderr } = await run(["migration", `--${flag}`, value]);
    assert.deepEqual([code, stderr.startsWith(`imagen-cloud: ${flag} must`)], [2, true], stderr);
  }
});
