// An outbox of thousands on its bad days, in real Chromium: a server that is down for thousands of requests, a killed browser,
// two tabs, another user, images that are discarded and removed in the midst.
import assert from "node:assert/strict";
import { createProfile, startOnProfile } from "../support/browser.mjs";
import { databaseOf, openTab } from "../support/outbox.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { seedJobs } from "../support/seeded.mjs";
import { startSite } from "../support/site.mjs";
import { until } from "../support/until.mjs";

const REMOVED = 20;

/**
 * Fails unless of `count` images those that were not removed are there once, with their rows, and nothing of the others.
 * @returns {Promise<{ images: number, requests: number }>}
 */
export async function runBadDays({ supabase, count, limitMs }) {
  const [user, other] = [await supabase.createUser(), await supabase.createUser()];
  const [site, recorder] = await Promise.all([startSite(), startRecorder({ target: supabase.url })]);
  const profile = await createProfile();
  const settings = {
    url: site.url,
    supabase,
    target: recorder.url,
    user,
    sink: { maxRetries: 0, initialBackoffMs: 100, maxBackoffMs: 1000 },
    options: { maxJobs: 2 * count },
  };
  const live = async () => {
    browser = await startOnProfile(profile.folder);
    return openTab(browser.context, settings);
  };
  let browser;
  try {
    let tab = await live();
    await tab.enqueue(0);
    await tab.close();
    await tab.page.evaluate(seedJobs, { name: databaseOf(user), count: count - 1 });
    await tab.open();
    assert.equal((await tab.list({ after: count - 2 })).length, 2, "all are there");

    // The server is down for the first three of ten requests, and the browser dies in the midst of what follows.
    const relent = recorder.answer({ method: "PUT", image: user.id, status: 503, body: {} });
    const up = recorder.hold({ method: "PUT", at: "answer", skip: Math.round(0.3 * count) });
    tab.drain().catch(() => {});
    await up.reached;
    relent();
    const hold = recorder.hold({ at: "answer", skip: Math.round(0.2 * count) });
    up.release();
    await hold.reached;
    await browser.kill();
    hold.release();

    // Two tabs at once; in the midst somebody else signs in, and some images are removed, those that are next among them.
    tab = await live();
    const second = await openTab(browser.context, settings);
    const midst = recorder.hold({ at: "answer", skip: Math.round(0.1 * count) });
    const drains = [tab.drain(), second.drain()];
    await midst.reached;
    const oldest = await tab.list({ limit: REMOVED });
    for (const { id } of oldest) await second.remove(id);
    await Promise.all([tab, second].map((one) => one.signIn(other.accessToken)));
    midst.release();
    const stopped = (await Promise.all(drains)).map((drained) => drained.stopped);
    assert.deepEqual(stopped, ["wrong_user", "wrong_user"]);
    await Promise.all([tab, second].map((one) => one.signIn(user.accessToken)));
    await until(async () => (await tab.drain()).waiting === 0, "an empty outbox", limitMs);
    assert.deepEqual(await tab.list(), []);

    const mine = "from imagen.images where owner_user_id = $1";
    const [{ rows, paths }] = await supabase.sql(
      `select count(*)::int as rows, count(distinct storage_path)::int as paths ${mine}`,
      [user.id],
    );
    const found = "from storage.objects where name like $1";
    const [{ objects }] = await supabase.sql(`select count(*)::int as objects ${found}`, [`${user.id}/%`]);
    const images = count - REMOVED;
    assert.deepEqual({ rows, paths, objects }, { rows: images, paths: images, objects: images });
    const removed = await supabase.sql(`select id ${mine} and id = any($2::uuid[])`, [
      user.id,
      oldest.map(({ id }) => id),
    ]);
    assert.deepEqual(removed, []);
    return { images, requests: recorder.requests.length };
  } finally {
    await browser?.kill();
    await Promise.all([recorder.close(), site.close()]);
    await profile.remove();
  }
}
