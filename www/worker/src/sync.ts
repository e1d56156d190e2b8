import { isImagenCloudError, type LinkOptions, type SyncRequest, type SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { expectForm, readForm, type SyncForm } from "./form";
import { refuseRemoved, wasRemoved } from "./images";
import { logStaged } from "./log";
import { outage, probeMs } from "./outage";
import { Problem } from "./problem";
import type { Env, Settings } from "./settings";
import { RequestShape, read, refuseColumns } from "./shapes";
import { uploads } from "./slots";
import { refuseOther, type Staged, type Staging, stage } from "./staging";
import { glimpseRow, plan, refuseTakenId, unshared, withSink } from "./supabase";
import { checkThumbnail, type Thumbnail, withThumbnail } from "./thumbnail";

/** Where an image landed, or will land. */
export interface Accepted extends SyncResult {
  /** It is safe, but not in Supabase yet: the same request again tells when it is. */
  queued?: true;
}

/** An image, and what goes with it. */
export interface Cargo {
  image: SyncRequest;
  /** Where the image goes. */
  place: SyncResult;
  thumbnail: Thumbnail | undefined;
  /** Whether its id came from the caller, and so may have been used before. */
  isKnown: boolean;
  /** The link that is wanted with it. */
  link?: LinkOptions | undefined;
}

/**
 * Takes the image of a `POST /api/sync` to Supabase, or stages it where Supabase does not take it in time. The same
 * `imageId` again is answered alike and changes nothing.
 */
export async function syncImage(
  request: Request,
  link: LinkOptions | undefined,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
  env: Env,
): Promise<Accepted> {
  const size = expectForm(request, settings.body);
  const work = async (isInTheWay: () => boolean) => {
    const form = await readForm(request, settings.body, isInTheWay);
    return accept(form, link, user, settings, staging, env);
  };
  return uploads.with(size, user.id, settings.bodyWaitMs, work, settings.body.ms + settings.syncDeadlineMs);
}

async function accept(
  form: SyncForm,
  link: LinkOptions | undefined,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
  env: Env,
): Promise<Accepted> {
  const isKnown = typeof form.request.imageId === "string";
  const asked = toImage(form);
  const image = { ...asked, ...(await dayOf(form.request, String(asked.imageId), user, settings, staging)) };
  refuseColumns(Object.keys(form.request.columns ?? {}), settings);
  const { storagePath, imageId } = await plan(image, user, settings);
  const place = { storagePath, imageId };
  const thumbnail = await checkThumbnail(form.thumbnail, image, place, user, settings);
  const cargo = { image, place, thumbnail, isKnown, link };
  const isRemoved = async () => isKnown && (await wasRemoved(imageId, user, staging));
  const [earlier, isGone] = await Promise.all([isKnown ? findStaged(imageId, staging) : undefined, isRemoved()]);
  if (isGone) return refuseRemoved(place, user, settings);
  if (earlier !== undefined) refuseOther(earlier, place, user);
  const advice = staging === undefined ? "try" : outage.advise();
  try {
    if (advice === "stage") throw new Hanging("the last ones got no answer in time");
    const mostMs = advice === "probe" ? Math.ceil(probeMs(form.image.byteLength)) : settings.syncDeadlineMs;
    const withinMs = Math.min(mostMs, settings.syncDeadlineMs);
    const done = await deliver(cargo, user, settings, withinMs);
    // The queue's message will find nothing to do.
    if (earlier !== undefined) await staging?.release(imageId).catch(() => {});
    if (await isRemoved()) await refuseRemoved(done, user, settings);
    return done;
  } catch (error) {
    if (staging === undefined || !isPassing(error)) throw error;
    if (earlier === undefined) await stage(staging, form.packed, place, user);
    logStaged({ event: "staged", imageId, cause: error }, env);
    return { ...place, queued: true };
  }
}

/** Nobody tries to reach Supabase now. */
class Hanging extends Error {}

/**
 * The package's request of what came, its image among it. Its day is fixed: at another one it would go to another place.
 */
export function toImage({ image, request }: Pick<SyncForm, "image" | "request">): SyncRequest {
  const date = request.date ?? new Date().toISOString().slice(0, 10);
  return { ...request, date, ...read(RequestShape, request), image: unshared(image) } as unknown as SyncRequest;
}

/** The day of an image whose request named none, and which is to come to this place. */
export function dayIn(storagePath: string): string {
  return storagePath.split("/")[1] ?? "";
}

/**
 * The day of the user's image of this id, where it is there or on its way and `request` names none: sent again after midnight it is
 * the same image.
 */
export async function dayOf(
  request: Record<string, unknown>,
  imageId: string,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<{ date?: string }> {
  if (typeof request.imageId !== "string" || (request.date ?? undefined) !== undefined) return {};
  const known = await Promise.all([findStaged(imageId, staging), glimpseRow(imageId, settings)]);
  const own = known.find((one) => one?.owner === user.id);
  return own === undefined ? {} : { date: dayIn(own.storagePath) };
}

/** Object and row, small picture and link, unless another image has the id. */
export async function deliver(
  { image, place, thumbnail, isKnown, link }: Cargo,
  user: User,
  settings: Settings,
  withinMs: number,
): Promise<SyncResult> {
  const until = Date.now() + withinMs;
  try {
    const isThere = isKnown && (await refuseTakenId(place, user, settings, withinMs / 3));
    const sync = { deadlineMs: Math.max(1, until - Date.now()), ...(link && { signedUrl: link }) };
    const bring = () => withSink(user, settings, (sink) => sink.sync(image, sync));
    // Who finds out whether Supabase answers again has little time, its small picture as much as any.
    const limitMs = Math.max(withinMs, settings.syncDeadlineMs);
    const done = await withThumbnail(thumbnail, isThere ? undefined : place, settings, limitMs, bring);
    outage.answered();
    return done;
  } catch (error) {
    note(error, user);
    throw error;
  }
}

/** What an error says of Supabase. */
function note(error: unknown, user: User): void {
  if (error instanceof Problem) {
    // That a row is another user's, only the database can have told.
    outage.answered();
  } else if (isImagenCloudError(error)) {
    if (error.code === "timeout" || error.code === "deadline_exceeded") outage.hung(user.id);
    else if (error.status !== undefined) outage.answered();
  }
}

/** A bucket that does not answer keeps no image from Supabase. */
async function findStaged(imageId: string, staging: Staging | undefined): Promise<Staged | undefined> {
  return staging?.find(imageId).catch(() => undefined);
}

/** Whether it was Supabase's state that kept an image away, and not the image. */
function isPassing(error: unknown): boolean {
  return error instanceof Hanging || (isImagenCloudError(error) && error.retryable);
}
