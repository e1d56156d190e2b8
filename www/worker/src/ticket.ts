import { errors, jwtVerify, SignJWT } from "jose";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";

/** The right to have one upload become one image. It is signed by the Worker, which keeps no copy. */
export interface Ticket {
  imageId: string;
  /** Where the image will be. */
  storagePath: string;
  /** Bytes of the image. */
  size: number;
  mimeType: string;
}

const TYPE = "imagen-ticket+jwt";
/** How long after its end a ticket may be renewed, in seconds: for an upload that went on meanwhile. */
const RENEWABLE_SECONDS = 7 * 24 * 3_600;

/** The ticket as text, and when it ends in ms since 1970. */
export async function issueTicket(
  { imageId, storagePath, size, mimeType }: Ticket,
  user: User,
  settings: Settings,
): Promise<{ ticket: string; expiresAt: number }> {
  const end = Math.floor(Date.now() / 1000) + settings.ticketTtlSeconds;
  const ticket = await new SignJWT({ imageId, storagePath, size, mimeType })
    .setProtectedHeader({ alg: "HS256", typ: TYPE })
    .setSubject(user.id)
    .setExpirationTime(end)
    .sign(await signingKey(settings));
  return { ticket, expiresAt: end * 1000 };
}

/** The ticket, if it is this user's and not over. */
export async function verifyTicket(text: string, user: User, settings: Settings): Promise<Ticket> {
  return read(text, user, settings, 0);
}

/** The ticket, if it is this user's, though it may be over by some days. */
export async function verifyRenewable(text: string, user: User, settings: Settings): Promise<Ticket> {
  return read(text, user, settings, RENEWABLE_SECONDS);
}

async function read(text: string, user: User, settings: Settings, clockTolerance: number): Promise<Ticket> {
  const checks = { algorithms: ["HS256"], typ: TYPE, subject: user.id, requiredClaims: ["exp"], clockTolerance };
  try {
    return (await jwtVerify<Ticket>(text, await signingKey(settings), checks)).payload;
  } catch (cause) {
    // Its subject is looked at before its end: another's ticket is never told to be over.
    throw new Problem(cause instanceof errors.JWTExpired ? "ticket_expired" : "ticket_invalid", { cause });
  }
}

/** Derived, so that there is nothing more to configure, and so that no token of Supabase's is a ticket. */
async function signingKey({ serviceKey }: Settings): Promise<CryptoKey> {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const bytes = (text: string) => new TextEncoder().encode(text);
  const root = await crypto.subtle.importKey("raw", bytes(serviceKey), hmac, false, ["sign"]);
  const derived = await crypto.subtle.sign("HMAC", root, bytes("imagen-cloud: tickets"));
  return crypto.subtle.importKey("raw", derived, hmac, false, ["sign", "verify"]);
}
