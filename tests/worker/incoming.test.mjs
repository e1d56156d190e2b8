// Uploads that nobody committed: the cron trigger clears them away, once no commit can come for them any more.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { decodeJwt } from "jose";
import { importModule } from "./modules.mjs";
import { BUCKET, fields, PNG, putUpload, startBench } from "./support.mjs";

const HOUR = 3_600;
const DAY = 24 * HOUR;
/** A ticket's day, a week in which it is renewed, the renewed one's day, and the margin. */
const KEPT_FOR = 10 * DAY;

let bench;
let user;
before(async () => {
  bench = await startBench({ SYNC_BACKOFF_MS: "5" });
  user = await bench.supabase.createUser();
});
after(() => bench?.close());

/** A request, its ticket, and its upload, last written so many seconds ago. */
async function upload(age, changes = {}) {
  const request = fields({ slug: randomUUID(), size: PNG.length, mimeType: "image/png", ...changes });
  const ticket = await (await bench.send("/api/tickets", user.accessToken, request)).json();
  assert.equal((await putUpload(ticket, PNG)).status, 200);
  await makeOlder(ticket.path, age);
  return { request, ticket };
}

/** As if it had been written then. Storage sets the time of a change itself, by a trigger that this is kept from. */
function makeOlder(path, seconds) {
  const then = new Date(Date.now() - seconds * 1000).toISOString();
  return bench.supabase.script(
    // One statement: a pool of connections takes no transaction in pieces.
    `do $$ begin
       set local session_replication_role = replica;
       update storage.objects set created_at = '${then}', updated_at = '${then}',
         metadata = jsonb_set(metadata::jsonb, '{lastModified}', '"${then}"') where name = '${path}';
     end $$`,
  );
}

async function objects(like) {
  const rows = await bench.supabase.sql("select name from storage.objects where name like $1 order by name", [like]);
  return rows.map(({ name }) => name);
}

const commit = ({ request, ticket }) => bench.send(`/api/tickets/${ticket.ticket}/commit`, user.accessToken, request);

/** What the log says of the last run. */
async function lastRun() {
  await bench.allLogged();
  return bench.logs.map((line) => JSON.parse(line)).findLast(({ event }) => event?.endsWith("cleared"));
}

test("what a commit may still come for is kept, and becomes an image; what is older is removed", async () => {
  const [young, borderline, abandoned] = [
    await upload(0),
    await upload(KEPT_FOR - HOUR),
    await upload(KEPT_FOR + HOUR),
  ];
  await bench.worker.runCron();
  assert.deepEqual(await objects(".incoming/%"), [young, borderline].map(({ ticket }) => ticket.path).toSorted());
  const { event, count } = await lastRun();
  assert.deepEqual([event, count], ["cleared", 1]);
  for (const kept of [young, borderline]) assert.equal((await commit(kept)).status, 201);
  const late = await commit(abandoned);
  assert.deepEqual([late.status, (await late.json()).code], [409, "not_uploaded"]);
});

test("a place to which nothing was uploaded in a ticket's day is given up, and its ticket is good all the same", async () => {
  const reserve = async (age) => {
    const request = fields({ slug: randomUUID(), size: PNG.length, mimeType: "image/png" });
    const ticket = await (await bench.send("/api/tickets", user.accessToken, request)).json();
    await makeOlder(ticket.path, age);
    return { request, ticket };
  };
  const [young, old, came] = [await reserve(DAY - HOUR), await reserve(DAY + HOUR), await upload(DAY + HOUR)];
  await bench.worker.runCron();
  assert.deepEqual(await objects(".incoming/%"), [young, came].map(({ ticket }) => ticket.path).toSorted());
  for (const { ticket } of [young, old]) assert.equal((await putUpload(ticket, PNG)).status, 200);
  for (const kept of [young, old, came]) assert.equal((await commit(kept)).status, 201);
});

test("an upload for an old ticket's id counts from when it was written last", async () => {
  const imageId = randomUUID();
  const first = await upload(KEPT_FOR + HOUR, { imageId });
  const second = await upload(0, { ...first.request, imageId });
  assert.equal(second.ticket.path, first.ticket.path);
  await bench.supabase.sql("update storage.objects set created_at = now() - interval '30 days' where name = $1", [
    second.ticket.path,
  ]);
  await bench.worker.runCron();
  assert.equal((await commit(second)).status, 201);
});

test("images, and what is no ticket's upload, are left alone however old", async () => {
  const foreign = [
    `.incoming/${user.id}`,
    `.incoming/${user.id}.${randomUUID()}.png`,
    `.incoming/${user.id}.${randomUUID()}/x.png`,
    `.incoming/notes.png`,
    `.incoming-else/${user.id}.${randomUUID()}`,
    `${user.id}/.incoming/${randomUUID()}`,
    `${user.id}/2026-05-11/${user.id}.${randomUUID()}`,
  ];
  const storage = bench.admin.storage.from(BUCKET);
  for (const path of foreign) {
    assert.equal((await storage.upload(path, PNG, { contentType: "image/png" })).error, null);
    await makeOlder(path, 100 * DAY);
  }
  const committed = await upload(0);
  assert.equal((await commit(committed)).status, 201);
  await makeOlder(committed.ticket.storagePath, 100 * DAY);
  await bench.worker.runCron();
  for (const path of [...foreign, committed.ticket.storagePath]) assert.deepEqual(await objects(path), [path]);
  await storage.remove(foreign);
});

test("many are cleared away page by page, a thousand a run, whatever young ones lie between", async () => {
  const young = await upload(0);
  await bench.supabase.sql(
    `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
      select '${BUCKET}', '.incoming/' || gen_random_uuid() || '.' || gen_random_uuid(), time, time,
        jsonb_build_object('lastModified', time)
      from (select now() - interval '1 year' + n * interval '1 second' as time from generate_series(1, 1150) n) t`,
  );
  // In front of them by its age, and written again since.
  await bench.supabase.sql("update storage.objects set created_at = now() - interval '2 years' where name = $1", [
    young.ticket.path,
  ]);
  const left = async () => (await objects(".incoming/%")).length;
  await bench.worker.runCron();
  assert.ok((await left()) > 150, "a run has its bound");
  await bench.worker.runCron();
  assert.deepEqual(await objects(".incoming/%"), [young.ticket.path]);
  assert.equal((await commit(young)).status, 201);
});

test("a thousand uploads that are written again and again stand in nobody's way", async () => {
  const abandoned = await upload(KEPT_FOR + HOUR);
  await bench.supabase.sql(
    `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
      select '${BUCKET}', '.incoming/' || gen_random_uuid() || '.' || gen_random_uuid(), now() - interval '1 year', now(),
        jsonb_build_object('lastModified', now())
      from generate_series(1, 1100)`,
  );
  await bench.worker.runCron();
  assert.deepEqual(await objects(abandoned.ticket.path), []);
  assert.equal((await objects(".incoming/%")).length, 1100);
  await bench.supabase.sql("delete from storage.objects where name like '.incoming/%'");
});

test("a run goes on where the last one ended, past a thousand objects that are not its own", async () => {
  await bench.supabase.sql(
    `insert into storage.objects (bucket_id, name, created_at, updated_at, metadata)
      select '${BUCKET}', '.incoming/not-ours-' || n, now() - interval '2 years', now() - interval '2 years', '{}'
      from generate_series(1, 1100) n`,
  );
  const abandoned = await upload(KEPT_FOR + HOUR);
  await bench.worker.runCron();
  assert.deepEqual(await objects(abandoned.ticket.path), [abandoned.ticket.path]);
  await bench.worker.runCron();
  assert.deepEqual(await objects(abandoned.ticket.path), []);
  assert.equal((await objects(".incoming/%")).length, 1100);
  // It came to the end, so the next one begins anew.
  assert.equal(await (await bench.worker.staged()).head("tidied/incoming"), null);
  await bench.supabase.sql("delete from storage.objects where name like '.incoming/%'");
});

test("a run that Supabase does not answer removes nothing, says so, and queues staged images all the same", async () => {
  const abandoned = await upload(KEPT_FOR + HOUR);
  bench.front.down = true;
  await bench.worker.runCron();
  bench.front.down = false;
  assert.equal((await lastRun()).event, "not_cleared");
  assert.ok(bench.logs.some((line) => line.includes('"requeued"')));
  assert.deepEqual(await objects(abandoned.ticket.path), [abandoned.ticket.path]);
  await bench.worker.runCron();
  assert.deepEqual(await objects(".incoming/%"), []);
});

test("a ticket is renewed for as long as is configured, counted from the first one", async () => {
  const { issueTicket } = await importModule("ticket.ts");
  const { ticket: first } = await upload(0);
  /** Its ticket, if the first one had been issued so many seconds ago. */
  const issuedAgo = (seconds) => {
    const claims = decodeJwt(first.ticket);
    const settings = { serviceKey: bench.supabase.serviceKey, ticketTtlSeconds: -1 };
    return issueTicket({ ...claims, iat: claims.iat - seconds }, user, settings);
  };
  const renew = ({ ticket }) => bench.send(`/api/tickets/${ticket}/renew`, user.accessToken, {});
  const renewed = await renew(await issuedAgo(8 * DAY - HOUR));
  assert.equal(renewed.status, 201);
  const last = await renewed.json();
  assert.equal(decodeJwt(last.ticket).iat, decodeJwt(first.ticket).iat - 8 * DAY + HOUR);
  const late = await renew(await issuedAgo(8 * DAY + HOUR));
  assert.deepEqual([late.status, (await late.json()).code], [410, "ticket_expired"]);
  await bench.worker.runCron();
  assert.deepEqual(await objects(first.path), [first.path], "the last one's day and the margin are not over");
});
