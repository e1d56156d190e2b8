import { isImagenCloudError } from "imagen-cloud";
import { parseForm } from "./form";
import { endRemoval, remove } from "./images";
import { causeOf, logStaged } from "./log";
import { Problem, toProblem } from "./problem";
import type { Env, Settings } from "./settings";
import { deliveries } from "./slots";
import type { Stored } from "./staging";
import { dayIn, deliver, toImage } from "./sync";
import { checkThumbnail } from "./thumbnail";

/** The longest wait between two tries. */
const MAX_DELAY_SECONDS = 900;
/** Characters of a buried image's reason: metadata has a few kB. */
const MAX_REASON = 1_500;

/**
 * Takes a staged image to Supabase, or puts it aside where that is hopeless. Resolves to how many seconds to wait before
 * the next try, or to `undefined` where none is needed.
 */
export async function deliverStaged(
  imageId: string,
  attempts: number,
  staging: Stored,
  settings: Settings,
  env: Env,
): Promise<number | undefined> {
  try {
    const event = await tryDelivery(imageId, staging, settings);
    logStaged({ event, imageId, attempts }, env);
    return undefined;
  } catch (cause) {
    if (isHopeless(cause) && (await buried(imageId, cause, staging, env))) {
      logStaged({ event: "buried", imageId, attempts, cause }, env);
      return undefined;
    }
    logStaged({ event: "delayed", imageId, attempts, cause }, env);
    return delayOf(attempts, cause, settings);
  }
}

async function tryDelivery(imageId: string, staging: Stored, settings: Settings): Promise<"delivered" | "gone"> {
  const found = await staging.find(imageId);
  if (found === undefined) {
    await endRemoval(imageId, settings, staging);
    return "gone";
  }
  const owner = { id: found.owner };
  const work = async () => {
    const staged = await staging.open(imageId);
    if (staged === undefined) return "gone";
    const form = parseForm(staged);
    const date = form.request.date ?? dayIn(found.storagePath);
    const image = toImage({ ...form, request: { ...form.request, date, imageId } });
    // It was looked at when it came: whatever is wrong with it now fails no image.
    const place = { imageId, storagePath: found.storagePath };
    const looked = checkThumbnail(form.thumbnail, image, place, owner, settings);
    const cargo = { image, place, thumbnail: await looked.catch(() => undefined), isKnown: true };
    const isRemoved = async () => (await staging.findRemoval(imageId))?.owner === owner.id;
    const wasRemoved = await isRemoved();
    if (!wasRemoved) await deliver(cargo, owner, settings, settings.deliveryDeadlineMs);
    // The same is done where an earlier delivery came too late to know of it.
    const isGone = wasRemoved || (await isRemoved());
    if (isGone) await remove(place, owner, settings).catch(toComeAgain);
    await staging.release(imageId);
    return isGone ? "gone" : "delivered";
  };
  return deliveries.with(found.size, owner.id, settings.bodyWaitMs, work, settings.deliveryDeadlineMs);
}

/** What fails a removal is no word on the image. */
function toComeAgain(cause: unknown): never {
  throw new Problem("unavailable", { cause });
}

/**
 * Whether an answer is a word on the image. All others, however final they sound (a wrong key, a missing column, a
 * redirect, a page of whatever stands where the project was), will be put right one day: no image is given up for them.
 */
function isHopeless(error: unknown): boolean {
  if (!isImagenCloudError(error)) return error instanceof Problem && error.status < 500;
  return !error.retryable && toProblem(error).status < 500;
}

async function buried(imageId: string, cause: unknown, staging: Stored, env: Env): Promise<boolean> {
  // Metadata is ASCII on its way.
  const reason = JSON.stringify(causeOf(cause, env)).replace(/[^ -~]/g, "?");
  return staging.bury(imageId, toProblem(cause).code, reason.slice(0, MAX_REASON)).then(
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
