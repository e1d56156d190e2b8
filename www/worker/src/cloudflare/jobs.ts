// What the platform calls beside requests: the queue with staged images, and the clock.
import { fetchJwks, jwksUrl } from "../auth";
import { deliverStaged } from "../delivery";
import { removeAbandoned } from "../incoming";
import { logStaged } from "../log";
import { removeOrphans } from "../orphans";
import { readSettings, type Settings } from "../settings";
import { isUuid } from "../shapes";
import type { Bindings } from "./bindings";
import { type Delivery, StagedInR2 } from "./staged";

/** The queue's consumer: takes staged images to Supabase. A message may come twice, or for an image that is gone. */
export async function deliverBatch(batch: MessageBatch<unknown>, env: Bindings): Promise<void> {
  const settings = readSettings(env);
  const staging = StagedInR2.of(env);
  if (staging === undefined) throw new Error("a queue without its bucket");
  const handle = async (message: Message<unknown>) => {
    const { imageId } = (message.body ?? {}) as Partial<Delivery>;
    if (!isUuid(imageId)) return message.ack();
    const delaySeconds = await deliverStaged(imageId, message.attempts, staging, settings, env);
    if (delaySeconds === undefined) message.ack();
    else message.retry({ delaySeconds });
  };
  await Promise.all(batch.messages.map(handle));
}

/**
 * The cron trigger: a message that got lost loses no image, an upload that nobody committed does not stay, nor a mark that
 * is over, nor, where that is wanted, an object whose row never came. And who starts while Supabase is down has its keys.
 */
export async function tidyUp(env: Bindings): Promise<void> {
  const settings = readSettings(env);
  await Promise.all([
    requeueStale(settings, env),
    forget(env),
    keepKeys(settings, env),
    clearIncoming(settings, env),
    clearOrphans(settings, env),
  ]);
}

/** What fails now is left to the next hour, and ends nothing else. */
async function clearOrphans(settings: Settings, env: Bindings): Promise<void> {
  const { removeOrphansAfterHours: hours } = settings;
  if (hours === undefined) return;
  try {
    logStaged({ event: "orphans_removed", count: await removeOrphans(hours, settings) }, env);
  } catch (cause) {
    logStaged({ event: "orphans_not_removed", cause }, env);
  }
}

/** As above. */
async function forget(env: Bindings): Promise<void> {
  try {
    logStaged({ event: "forgotten", count: (await StagedInR2.of(env)?.forgetRemovals()) ?? 0 }, env);
  } catch (cause) {
    logStaged({ event: "not_forgotten", cause }, env);
  }
}

/** As above. */
async function keepKeys(settings: Settings, env: Bindings): Promise<void> {
  const staging = StagedInR2.of(env);
  if (staging === undefined || settings.jwtSecret !== undefined) return;
  try {
    const url = jwksUrl(settings);
    await staging.keepKeys(url, JSON.stringify(await fetchJwks(url)));
  } catch (cause) {
    logStaged({ event: "keys_not_kept", cause }, env);
  }
}

/** As above. */
async function requeueStale(settings: Settings, env: Bindings): Promise<void> {
  try {
    const count = await StagedInR2.of(env)?.requeue(settings.stagedStaleSeconds);
    logStaged({ event: "requeued", count: count ?? 0 }, env);
  } catch (cause) {
    logStaged({ event: "not_requeued", cause }, env);
  }
}

/** Where a run tells the next one from where to go on. */
const BOOKMARK = "tidied/incoming";

/** As above. */
async function clearIncoming(settings: Settings, env: Bindings): Promise<void> {
  try {
    const earlier = Number((await (await env.STAGED?.get(BOOKMARK))?.text()) ?? 0);
    const { removed, passed } = await removeAbandoned(settings, earlier || 0);
    if (passed > 0) await env.STAGED?.put(BOOKMARK, String(passed));
    else if (earlier > 0) await env.STAGED?.delete(BOOKMARK);
    logStaged({ event: "cleared", count: removed }, env);
  } catch (cause) {
    logStaged({ event: "not_cleared", cause }, env);
  }
}
