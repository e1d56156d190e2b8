import { isImagenCloudError } from "imagen-cloud";
import { parseForm } from "./form";
import { removeAbandoned } from "./incoming";
import { causeOf, logStaged } from "./log";
import { Problem, toProblem } from "./problem";
import { isUuid } from "./request";
import { type Bindings, readSettings, type Settings } from "./settings";
import { deliveries } from "./slots";
import { Staging } from "./staging";
import { deliver, toImage } from "./sync";

/** The longest wait between two tries. */
const MAX_DELAY_SECONDS = 900;
/** Characters of a buried image's reason: R2 keeps a few KB of metadata. */
const MAX_REASON = 1_500;

/** SQLSTATEs that are about the row, beside those that its sender is told of: a user that is gone, a trigger's refusal. */
const ROWS_FAULT = /^(23...|P0001)$/;

/** The queue's consumer: takes staged images to Supabase. A message may come twice, or for an image that is gone. */
export async function deliverBatch(batch: MessageBatch<unknown>, env: Bindings): Promise<void> {
  const settings = readSettings(env);
  const staging = Staging.of(env, settings);
  if (staging === undefined) throw new Error("a queue without its bucket");
  await Promise.all(batch.messages.map((message) => handle(message, staging, settings, env)));
}

/** The cron trigger: a message that got lost loses no image, and an upload that nobody committed does not stay. */
export async function tidyUp(env: Bindings): Promise<void> {
  const settings = readSettings(env);
  await Promise.all([requeueStale(settings, env), clearIncoming(settings, env)]);
}

async function requeueStale(settings: Settings, env: Bindings): Promise<void> {
  const count = await Staging.of(env, settings)?.requeue(settings.stagedStaleSeconds);
  logStaged({ event: "requeued", count: count ?? 0 }, env);
}

/** Where a run tells the next one from where to go on. */
const BOOKMARK = "tidied/incoming";

/** What fails now is left to the next hour. */
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

async function handle(message: Message<unknown>, staging: Staging, settings: Settings, env: Bindings): Promise<void> {
  const { attempts } = message;
  const { imageId } = (message.body ?? {}) as { imageId?: unknown };
  if (!isUuid(imageId)) return message.ack();
  try {
    const event = await deliverStaged(imageId, staging, settings);
    logStaged({ event, imageId, attempts }, env);
    message.ack();
  } catch (cause) {
    if (isHopeless(cause) && (await buried(imageId, cause, staging, env))) {
      logStaged({ event: "buried", imageId, attempts, cause }, env);
      return message.ack();
    }
    logStaged({ event: "delayed", imageId, attempts, cause }, env);
    message.retry({ delaySeconds: delayOf(attempts, cause, settings) });
  }
}

async function deliverStaged(imageId: string, staging: Staging, settings: Settings): Promise<"delivered" | "gone"> {
  const found = await staging.find(imageId);
  if (found === undefined) return "gone";
  const owner = { id: found.owner };
  return deliveries.with(found.size, owner.id, settings.bodyWaitMs, async () => {
    const staged = await staging.open(imageId);
    if (staged === undefined) return "gone";
    const form = parseForm(staged);
    const image = toImage({ ...form, request: { ...form.request, imageId } });
    await deliver(image, true, owner, settings, settings.deliveryDeadlineMs);
    await staging.release(imageId);
    return "delivered";
  });
}

/**
 * Whether an answer is a word on the image. All others, however final they sound (a wrong key, a missing column, a
 * redirect, a page of whatever stands where the project was), will be put right one day: no image is given up for them.
 */
function isHopeless(error: unknown): boolean {
  if (!isImagenCloudError(error)) return error instanceof Problem && error.status < 500;
  if (error.retryable) return false;
  return toProblem(error).status < 500 || ROWS_FAULT.test(error.serverCode ?? "");
}

async function buried(imageId: string, cause: unknown, staging: Staging, env: Bindings): Promise<boolean> {
  // Metadata is ASCII on its way.
  const reason = JSON.stringify(causeOf(cause, env)).replace(/[^ -~]/g, "?");
  return staging.bury(imageId, reason.slice(0, MAX_REASON)).then(
    () => true,
    () => false,
  );
}

/** Doubled by every attempt, with jitter; never earlier than the server asked for. */
function delayOf(attempts: number, cause: unknown, settings: Settings): number {
  const doubled = Math.min(settings.retryDelaySeconds * 2 ** (attempts - 1), MAX_DELAY_SECONDS);
  const asked = isImagenCloudError(cause) ? (cause.retryAfterMs ?? 0) / 1000 : 0;
  return Math.min(Math.ceil(Math.max(doubled * (0.75 + Math.random() / 2), asked)), 12 * 3_600);
}
