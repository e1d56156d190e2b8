import { errors, jwtVerify, SignJWT } from "jose";
import type { InferOutput } from "valibot";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { read as readShape, TicketShape } from "./shapes";

/** The right to have one upload become one image. It is signed by the Worker, which keeps no copy. */
export type Ticket = InferOutput<typeof TicketShape>;

const TYPE = "imagen-ticket+jwt";

/** The ticket as text, and when it ends in ms since 1970. */
export async function issueTicket(
  { imageId, storagePath, size, mimeType, iat }: Ticket,
  user: User,
  settings: Settings,
): Promise<{ ticket: string; expiresAt: number }> {
  const end = now() + settings.ticketTtlSeconds;
  const ticket = await new SignJWT({ imageId, storagePath, size, mimeType })
    .setProtectedHeader({ alg: "HS256", typ: TYPE })
    .setSubject(user.id)
    .setIssuedAt(iat)
    .setExpirationTime(end)
    .sign(await signingKey(settings));
  return { ticket, expiresAt: end * 1000 };
}

/** The ticket, if it is this user's and not over. */
export async function verifyTicket(text: string, user: User, settings: Settings): Promise<Ticket> {
  return read(text, user, settings, 0);
}

/** The ticket, if it is this user's, though it may be over by some days. Not for ever: see {@link longestLifeSeconds}. */
export async function verifyRenewable(text: string, user: User, settings: Settings): Promise<Ticket> {
  const ticket = await read(text, user, settings, longestLifeSeconds(settings));
  const over = ticket.iat + settings.ticketTtlSeconds + settings.ticketRenewableSeconds;
  if (now() > over) throw new Problem("ticket_expired", { detail: "The ticket is too old. Ask for a new one." });
  return ticket;
}

/** How long after the first ticket for an upload its last renewal ends. */
export function longestLifeSeconds({ ticketTtlSeconds, ticketRenewableSeconds }: Settings): number {
  return ticketTtlSeconds + ticketRenewableSeconds + ticketTtlSeconds;
}

/** In seconds since 1970, as tokens have it. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}

async function read(text: string, user: User, settings: Settings, clockTolerance: number): Promise<Ticket> {
  const checks = { algorithms: ["HS256"], typ: TYPE, subject: user.id, requiredClaims: ["exp", "iat"], clockTolerance };
  try {
    return readShape(TicketShape, (await jwtVerify(text, await signingKey(settings), checks)).payload);
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
