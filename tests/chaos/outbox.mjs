// An outbox in real Chromium through a proxy that breaks a part of all requests, also with a browser that is killed
// again and again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createProfile, startBrowser, startOnProfile } from "../support/browser.mjs";
import { startChaos } from "../support/chaos.mjs";
import { arrived, openTab, range } from "../support/outbox.mjs";
import { startRecorder } from "../support/recorder.mjs";
import { startSite } from "../support/site.mjs";

const SETTINGS = { sink: { maxBackoffMs: 100 }, options: { automatic: true } };

/** A proxy that breaks requests and one that remembers them, between a page's server and a Supabase. */
async function startWorld({ supabase, seed, rate, place }) {
  const user = await supabase.createUser();
  const site = await startSite();
  const chaos = await startChaos({
    target: supabase.url,
    seed,
    rate,
    place,
    ignore: [user.id],
    delayMs: 20,
    blackoutMs: 100,
    retryAfterSeconds: 0,
  });
  const recorder = await startRecorder({ target: chaos.url });
  const close = () => Promise.all([recorder.close(), chaos.close(), site.close()]);
  return { user, chaos, recorder, close, tab: { url: site.url, user, supabase, target: recorder.url, ...SETTINGS } };
}

/**
 * Sends `count` images through an outbox that two tabs share, at that rate of faults; fails unless all arrive, each once
 * and never by two requests at the same time. With `place` the faults are not drawn: the images' ids are other ones each time.
 * @returns {Promise<{ faults: Record<string, number>, requests: number }>}
 */
export async function runOutbox({ supabase, seed, rate, place, count, limitMs }) {
  const world = await startWorld({ supabase, seed, rate, place });
  let browser;
  try {
    browser = await startBrowser();
    const context = await browser.newContext();
    const tabs = [await openTab(context, world.tab), await openTab(context, world.tab)];
    const results = await Promise.all(range(count).map((number) => tabs[number % 2].enqueue(number)));
    await tabs[0].empty(limitMs);
    await arrived({ supabase, user: world.user, numbers: range(count), results });
    assert.deepEqual(world.recorder.overlaps(), []);
    return { faults: world.chaos.stats.faults, requests: world.recorder.requests.length };
  } finally {
    await browser?.close();
    await world.close();
  }
}

/**
 * Enqueues `atOnce` images offline, and as many whenever they have arrived, while the browser is killed that often at points
 * that the seed draws, of the first `span` requests of its life: while a request is on its way, after the server has done it, and
 * just after its answer. Then lets the outbox finish; fails unless all images arrived, each once and byte-equal, and no job is left.
 * @returns {Promise<{ kills: number, images: number, faults: Record<string, number> }>}
 */
export async function runKills({ supabase, seed, rate, kills: wanted, limitMs, atOnce = 20, span = 3 }) {
  const world = await startWorld({ supabase, seed, rate });
  const profile = await createProfile();
  const results = [];
  let browser;
  const points = [];
  let kills = 0;

  /** One life of the browser. */
  const live = async (isLast) => {
    browser = await startOnProfile(profile.folder);
    const tab = await openTab(browser.context, world.tab);
    const jobs = (await tab.list()).map(({ id }) => id);
    await assertNoneLost(jobs);
    if (results.length === 0 || (!isLast && jobs.length === 0)) {
      world.recorder.offline(true);
      const outcomes = await tab.enqueueMany(range(atOnce).map((number) => results.length + number));
      assert.deepEqual(
        outcomes.filter(({ ok }) => !ok),
        [],
      );
      results.push(...outcomes);
    }
    if (isLast) {
      world.recorder.offline(false);
      return tab.empty(limitMs);
    }
    const { at, skip, ms } = drawPoint(`${seed} ${kills}`, span);
    points.push(`${at} of request ${skip + 1}`);
    const hold = world.recorder.hold({ at: at === "after" ? "answer" : at, skip });
    world.recorder.offline(false);
    await Promise.race([hold.reached, tab.empty(limitMs).catch(() => {})]);
    if (at === "after") {
      hold.release();
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
    await browser.kill();
    kills += 1;
    hold.release();
  };

  /** Every image that was accepted is here or has arrived. */
  const assertNoneLost = async (jobs) => {
    const rows = await supabase.sql("select id from imagen.images where owner_user_id = $1", [world.user.id]);
    const known = new Set([...jobs, ...rows.map(({ id }) => id)]);
    const lost = results.filter(({ imageId }) => !known.has(imageId)).map(({ storagePath }) => storagePath);
    // Chromium deletes a database that it finds damaged, and only says so here.
    const said = browser
      .log()
      .split("\n")
      .filter((line) => /IndexedDB|LevelDB/.test(line));
    assert.deepEqual(lost, [], `neither here nor there, after these kills: ${[points.join(", "), ...said].join("\n")}`);
  };

  try {
    while (kills < wanted) await live(false);
    await live(true);
    await arrived({ supabase, user: world.user, numbers: range(results.length), results });
    return { kills, images: results.length, faults: world.chaos.stats.faults };
  } finally {
    await browser?.kill();
    await world.close();
    await profile.remove();
  }
}

/** Where a life of the browser ends: at which of its requests, and when in that request's course. */
function drawPoint(text, span) {
  const dice = createHash("sha256").update(text).digest();
  return { at: ["request", "answer", "after"][dice[0] % 3], skip: dice[1] % span, ms: dice[2] % 30 };
}
