import type { ImageSource, LinkOptions, PreparedImage, SyncRequest, SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { announcedSize, readJson } from "./body";
import { type Described, expectDescription, JSON_LIMITS, readDescription } from "./form";
import { refuseRemoved, wasRemoved } from "./images";
import { heldPath, incomingPath, openUpload } from "./incoming";
import { Problem, type ProblemCode, toProblem } from "./problem";
import type { Settings } from "./settings";
import { RequestShape, read, refuseColumns, WishShape } from "./shapes";
import { linkOf } from "./signed-url";
import { descriptions } from "./slots";
import type { Staging } from "./staging";
import { copyObject, findObject, removeObject, resumableUrl, StoredImage, signUpload } from "./storage";
import { BUCKET, findRow, plan, refuseTakenId, withSink } from "./supabase";
import { dayIn, dayOf } from "./sync";
import { checkThumbnail, type Thumbnail, withThumbnail } from "./thumbnail";
import { issueTicket, now, type Ticket, verifyRenewable, verifyTicket } from "./ticket";

/** What a page needs to upload an image itself. */
export interface IssuedTicket extends SyncResult {
  /** For `POST /api/tickets/{ticket}/commit` and `/renew`. */
  ticket: string;
  /** When it ends, in ms since 1970. */
  expiresAt: number;
  /** Where the upload goes: nobody reads there, and a commit takes it from there. */
  bucket: string;
  path: string;
  /** For every request to `resumableUrl`, as `x-signature`. */
  token: string;
  /** Takes the image by TUS. */
  resumableUrl: string;
  /** Takes the image by one PUT. */
  uploadUrl: string;
}

/** For what no commit takes an upload, whatever else it says. Another upload may come by the same ticket. */
const UPLOADS_FAULT: ReadonlySet<ProblemCode> = new Set(["upload_mismatch", "invalid_image", "too_large"]);

/** `POST /api/tickets`: a SyncRequest without its image, but with `size` and `mimeType`. */
export async function makeTicket(
  request: Request,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<IssuedTicket> {
  const bytes = announcedSize(request, JSON_LIMITS);
  return descriptions.with(bytes, user.id, settings.bodyWaitMs, async (isInTheWay) =>
    grant(await readJson(request, JSON_LIMITS, isInTheWay), user, settings, staging),
  );
}

async function grant(
  json: Record<string, unknown>,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<IssuedTicket> {
  const { size, ...fields } = { ...json, ...read(WishShape, json) };
  refuseColumns(Object.keys(fields.columns ?? {}), settings);
  if (size > settings.maxImageBytes) {
    throw new Problem("too_large", { detail: `An image may have ${settings.maxImageBytes} bytes.` });
  }
  const day = await dayOf(json, fields.imageId, user, settings, staging);
  const { storagePath, imageId, mimeType } = await plan(toRequest({ ...fields, ...day }), user, settings);
  if (typeof json.imageId === "string") {
    await refuseTakenId({ imageId, storagePath }, user, settings);
    if (await wasRemoved(imageId, user, staging)) await refuseRemoved({ imageId, storagePath }, user, settings);
  }
  await openUpload(imageId, user, settings);
  return issue({ storagePath, imageId, mimeType, size, iat: now() }, user, settings);
}

/** `POST /api/tickets/:id/renew`: another ticket and upload token for the same upload, which goes on where it was. */
export async function renewTicket(id: string, user: User, settings: Settings): Promise<IssuedTicket> {
  return issue(await verifyRenewable(id, user, settings), user, settings);
}

async function issue(ticket: Ticket, user: User, settings: Settings): Promise<IssuedTicket> {
  const { imageId, storagePath } = ticket;
  const path = incomingPath(imageId, user);
  const { url: uploadUrl, token } = await signUpload(path, settings);
  return {
    ...(await issueTicket(ticket, user, settings)),
    imageId,
    storagePath,
    bucket: BUCKET,
    path,
    token,
    resumableUrl: resumableUrl(settings),
    uploadUrl,
  };
}

/**
 * `POST /api/tickets/:id/commit`, with the JSON that the ticket was made for: what was uploaded becomes the image.
 * A second commit is answered like the first and copies nothing, whatever the upload token has written since.
 */
export async function commitTicket(
  id: string,
  request: Request,
  link: LinkOptions | undefined,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<SyncResult> {
  const ticket = await verifyTicket(id, user, settings);
  return descriptions.with(expectDescription(request), user.id, settings.bodyWaitMs, async (isInTheWay) =>
    commit(ticket, await readDescription(request, isInTheWay), link, user, settings, staging),
  );
}

async function commit(
  ticket: Ticket,
  came: Described,
  link: LinkOptions | undefined,
  user: User,
  settings: Settings,
  staging: Staging | undefined,
): Promise<SyncResult> {
  const { imageId, storagePath } = ticket;
  const { size, ...json } = came.request;
  const fixed = { date: json.date ?? dayIn(storagePath), imageId: json.imageId ?? imageId, mimeType: ticket.mimeType };
  const known = { ...json, ...fixed };
  const fields = { ...known, ...read(RequestShape, known) };
  refuseColumns(Object.keys(fields.columns ?? {}), settings);
  const thumbnail = await checkThumbnail(came.thumbnail, toRequest(fields), ticket, user, settings);
  const incoming = incomingPath(imageId, user);
  const isGone = await wasRemoved(imageId, user, staging);
  let signed: string | null | undefined;
  if (!isGone && !(await isDone(ticket, user, settings))) {
    signed = await takeIn(incoming, fields, thumbnail, link, ticket, user, settings);
  }
  await removeObject(incoming, settings);
  if (isGone || (await wasRemoved(imageId, user, staging))) await refuseRemoved(ticket, user, settings);
  if (link !== undefined && signed === undefined) signed = await linkOf(storagePath, link, settings);
  return { storagePath, imageId, ...(signed !== undefined && { signedUrl: signed }) };
}

/**
 * Makes the upload an image, and resolves to its link where one is wanted. The upload token may write another one at any time: so what is looked at, and then becomes
 * the image, is a copy that it can't reach. What is certain to be refused is not copied first.
 */
async function takeIn(
  incoming: string,
  fields: Record<string, unknown>,
  thumbnail: Thumbnail | undefined,
  link: LinkOptions | undefined,
  ticket: Ticket,
  user: User,
  settings: Settings,
): Promise<string | null | undefined> {
  const { imageId } = ticket;
  const held = heldPath(imageId, user);
  try {
    const seen = await inspect(incoming, "its head", fields, ticket, user, settings);
    if (seen !== undefined && (await copyObject(incoming, held, settings))) {
      const planned = await inspect(held, "all of it", fields, ticket, user, settings);
      if (planned === undefined) throw new Problem("not_uploaded", { imageId });
      const bring = () => finish(held, planned, link, user, settings);
      return await withThumbnail(thumbnail, ticket, settings, settings.syncDeadlineMs, bring);
    }
    // If it is done, another commit was faster, and has taken it away.
    if (!(await isDone(ticket, user, settings))) throw new Problem("not_uploaded", { imageId });
    return undefined;
  } catch (error) {
    if (UPLOADS_FAULT.has(toProblem(error).code)) await removeObject(incoming, settings);
    throw error;
  } finally {
    await removeObject(held, settings);
  }
}

/**
 * What becomes of what was uploaded, if it is what the ticket says; `undefined` where there is nothing. To look for
 * an image's size may take several requests, of the 50 that a Worker may make: so that is done once, with the copy.
 */
async function inspect(
  path: string,
  seen: "its head" | "all of it",
  fields: Record<string, unknown>,
  ticket: Ticket,
  user: User,
  settings: Settings,
): Promise<PreparedImage | undefined> {
  const { imageId, size, mimeType } = ticket;
  const found = await findObject(path, settings);
  if (found === undefined) return undefined;
  if (found.size !== size || found.mimeType !== mimeType) {
    const came = `${found.size} of ${found.mimeType.slice(0, 64)}`;
    throw new Problem("upload_mismatch", {
      detail: `The ticket is for ${size} bytes of ${mimeType}, but ${came} came.`,
      imageId,
    });
  }
  const stored = new StoredImage(path, size, settings);
  const request = toRequest(fields, seen === "its head" ? await stored.head() : stored);
  const planned = await plan(request, user, settings).catch((error: unknown) => {
    // What kept the image from being read is no fault of the image's.
    throw error instanceof Error && error.cause instanceof Problem ? error.cause : error;
  });
  if (planned.storagePath !== ticket.storagePath || planned.imageId !== ticket.imageId) {
    throw new Problem("invalid_request", { detail: "This is not the request that the ticket was made for." });
  }
  return planned;
}

/** Whatever it lacks, the package refuses by name. */
function toRequest(fields: object, image?: ImageSource): SyncRequest {
  return { ...fields, ...(image && { image }) } as unknown as SyncRequest;
}

/** The copy becomes the image, and gets its row, and meanwhile its link. */
async function finish(
  held: string,
  planned: PreparedImage,
  link: LinkOptions | undefined,
  user: User,
  settings: Settings,
): Promise<string | null | undefined> {
  const until = Date.now() + settings.syncDeadlineMs;
  const { imageId, storagePath } = planned;
  if (!(await copyObject(held, storagePath, settings))) throw new Problem("not_uploaded", { imageId });
  const deadlineMs = Math.max(1, until - Date.now());
  const signing = link && linkOf(storagePath, link, settings);
  await withSink(user, settings, (sink) => sink.insert(planned, { deadlineMs }));
  return signing;
}

/** Whether an earlier commit brought the row. */
async function isDone({ imageId, storagePath }: Ticket, user: User, settings: Settings): Promise<boolean> {
  const row = await findRow(imageId, settings).catch((cause: unknown) => {
    throw new Problem("unavailable", { imageId, cause });
  });
  if (row === undefined) return false;
  if (row.owner !== user.id || row.storagePath !== storagePath) throw new Problem("id_taken", { imageId });
  return true;
}
