import type { SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import { readJson } from "./body";
import { Problem } from "./problem";
import { isUuid, toSyncRequest, withImageId } from "./request";
import type { Settings } from "./settings";
import { copyObject, findObject, readHeader, removeObject, resumableUrl, signUpload } from "./storage";
import { BUCKET, findRow, plan, refuseAnothersId, withSink } from "./supabase";
import { issueTicket, type Ticket, verifyRenewable, verifyTicket } from "./ticket";

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

/** A long prompt and a large sidecar. */
const JSON_LIMITS = { bytes: 256 * 1024, ms: 10_000 };

/** Enough of an image of each type to be known as one, for a path to be made before there are bytes. */
const SAMPLES: Record<string, Uint8Array<ArrayBuffer>> = {
  "image/png": bytes("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
  "image/jpeg": bytes("\xff\xd8\xff\xe0\0\x10JFIF\0"),
  "image/webp": bytes("RIFF\0\0\0\0WEBPVP8 "),
  "image/avif": bytes("\0\0\0\x18ftypavif\0\0\0\0avifmif1"),
  "image/gif": bytes("GIF89a\x01\0\x01\0"),
};

/** `POST /api/tickets`: a SyncRequest without its image, but with `size` and `mimeType`. */
export async function makeTicket(request: Request, user: User, settings: Settings): Promise<IssuedTicket> {
  const { size, ...rest } = await readJson(request, JSON_LIMITS);
  const fields = withImageId(rest);
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 1) {
    throw new Problem("invalid_request", { detail: "size is the image's number of bytes.", field: "size" });
  }
  if (size > settings.maxImageBytes) {
    throw new Problem("too_large", { detail: `An image may have ${settings.maxImageBytes} bytes.` });
  }
  const mimeType = String(fields.mimeType);
  const sample = Object.hasOwn(SAMPLES, mimeType) ? SAMPLES[mimeType] : undefined;
  if (sample === undefined) {
    const detail = `mimeType is one of ${Object.keys(SAMPLES).join(", ")}.`;
    throw new Problem("invalid_image", { detail, field: "mimeType" });
  }
  const planned = await plan(toSyncRequest(fields, sample), user, settings);
  if (isUuid(rest.imageId)) await refuseAnothersId(planned.imageId, user, settings);
  return issue({ ...planned, size, mimeType }, user, settings);
}

/** `POST /api/tickets/:id/renew`: another ticket and upload token for the same upload, which goes on where it was. */
export async function renewTicket(id: string, user: User, settings: Settings): Promise<IssuedTicket> {
  return issue(await verifyRenewable(id, user, settings), user, settings);
}

async function issue(ticket: Ticket, user: User, settings: Settings): Promise<IssuedTicket> {
  const { imageId, storagePath } = ticket;
  const path = incomingPath(ticket, user);
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
export async function commitTicket(id: string, request: Request, user: User, settings: Settings): Promise<SyncResult> {
  const ticket = await verifyTicket(id, user, settings);
  const { size, ...rest } = await readJson(request, JSON_LIMITS);
  const fields = { ...withImageId({ ...rest, imageId: rest.imageId ?? ticket.imageId }), mimeType: ticket.mimeType };
  const incoming = incomingPath(ticket, user);
  const { imageId, storagePath } = ticket;
  if (!(await isDone(ticket, user, settings))) {
    const header = await checkUpload(incoming, ticket, settings).catch(async (error) => {
      // Another commit may have been faster, and have taken it away.
      if (await isDone(ticket, user, settings)) return undefined;
      throw error;
    });
    if (header !== undefined) await finish(fields, header, ticket, user, settings);
  }
  await removeObject(incoming, settings);
  return { storagePath, imageId };
}

/** Copy and row, by the package: to it, the copy is the upload. */
async function finish(
  fields: Record<string, unknown>,
  header: Blob,
  ticket: Ticket,
  user: User,
  settings: Settings,
): Promise<void> {
  const request = toSyncRequest(fields, header);
  const planned = await plan(request, user, settings);
  if (planned.storagePath !== ticket.storagePath || planned.imageId !== ticket.imageId) {
    throw new Problem("invalid_request", { detail: "This is not the request that the ticket was made for." });
  }
  const upload: typeof fetch = (input, init) =>
    init?.method === "PUT" ? copyChecked(header, ticket, user, settings) : fetch(input, init);
  const deadlineMs = settings.syncDeadlineMs;
  await withSink(user, settings, (sink) => sink.sync(request, { deadlineMs }), { fetch: upload });
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

/** The first bytes of what was uploaded, if that is what the ticket says. */
async function checkUpload(path: string, ticket: Ticket, settings: Settings): Promise<Blob> {
  const { imageId, size, mimeType } = ticket;
  const found = await findObject(path, settings);
  if (found === undefined) throw new Problem("not_uploaded", { imageId });
  if (found.size !== size || found.mimeType !== mimeType) {
    const detail = `The ticket is for ${size} bytes of ${mimeType}, but ${found.size} of ${found.mimeType} came.`;
    throw new Problem("upload_mismatch", { detail, imageId });
  }
  return readHeader(path, settings);
}

/**
 * Copies the upload to where the image will be, and checks that it is still the one that was looked at: the upload
 * token may have written another one meanwhile. The answer is as Storage would give it.
 */
async function copyChecked(header: Blob, ticket: Ticket, user: User, settings: Settings): Promise<Response> {
  const { storagePath, size, mimeType } = ticket;
  const copied = await copyObject(incomingPath(ticket, user), storagePath, settings);
  if (!copied.ok) return copied;
  const copy = await findObject(storagePath, settings);
  const isSame =
    copy?.size === size &&
    copy.mimeType === mimeType &&
    (await isEqual(header, await readHeader(storagePath, settings)));
  if (isSame) return copied;
  await copied.body?.cancel();
  await removeObject(storagePath, settings);
  const error = { statusCode: "415", error: "invalid_mime_type", code: "InvalidMimeType", message: "another upload" };
  return Response.json(error, { status: 400 });
}

async function isEqual(one: Blob, other: Blob): Promise<boolean> {
  if (one.size !== other.size) return false;
  const [left, right] = [await one.bytes(), await other.bytes()];
  return left.every((byte, i) => byte === right[i]);
}

function incomingPath({ imageId }: Ticket, user: User): string {
  return `${user.id}/.incoming/${imageId}`;
}

function bytes(latin1: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(latin1, (char) => char.charCodeAt(0));
}
