import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from "jose";
import { Problem } from "./problem";
import { SeenTokens } from "./seen-tokens";
import type { Settings } from "./settings";
import { ASKING_MS, nothingYet, type Shared, share } from "./shared";
import type { Staging } from "./staging";

/** A signed-in user. */
export interface User {
  /** `auth.users.id`, in lower case: owner of the row and first folder of the path. */
  id: string;
}

const CHECKS: JWTVerifyOptions = { audience: "authenticated", requiredClaims: ["exp"], clockTolerance: 5 };
const LOWER_CASE_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Supabase's tokens have one or two kB, with large `app_metadata` some more; a header may have 128. */
const LONGEST_TOKEN = 16 * 1024;

/**
 * The user whose Supabase access token the header carries: 401 without a valid one, 403 if it is of another kind. `staging` may have
 * kept the issuer's keys.
 */
export async function authenticate(
  authorization: string | null,
  settings: Settings,
  staging?: Staging | undefined,
): Promise<User> {
  // Linear, whatever comes: neither part can take what the other one does.
  const token = /^Bearer ([^\s,]+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined || token.length > LONGEST_TOKEN) throw new Problem("unauthorized");
  const claims = await verify(token, settings, staging);
  // GoTrue's tokens name their issuer, the embedded backend's do not.
  if (claims.iss !== undefined && !settings.issuers.includes(claims.iss)) {
    throw new Problem("unauthorized", { cause: new Error("another issuer") });
  }
  return userOf(claims, settings);
}

async function verify(token: string, settings: Settings, staging: Staging | undefined): Promise<JWTPayload> {
  try {
    const { jwtSecret } = settings;
    if (jwtSecret === undefined) return await verifyByIssuer(token, settings, staging);
    return await verifyBySecret(token, jwtSecret);
  } catch (error) {
    throw new Problem(isTokensFault(error) ? "unauthorized" : "unavailable", { cause: error });
  }
}

/** The algorithm is pinned by what is configured, never taken from the token. */
async function verifyBySecret(token: string, text: string): Promise<JWTPayload> {
  const secret = await secretOf(text);
  const earlier = seenBy(secret).find(token);
  if (earlier !== undefined) return earlier;
  const { payload } = await jwtVerify(token, secret, { ...CHECKS, algorithms: ["HS256"] });
  return seenBy(secret).keep(token, payload);
}

/** The same for the issuer's keys. One that is not among them may be new: then all who look for one look once, now and then. */
async function verifyByIssuer(token: string, settings: Settings, staging: Staging | undefined): Promise<JWTPayload> {
  const { shared, load } = issuerOf(settings);
  const earlier = shared.value && areTaken(shared) && seenBy(shared.value).find(token);
  if (earlier) return earlier;
  let keys = undefined as Keys | undefined;
  const keyOf = async (header: JWSHeaderParameters, input: FlattenedJWSInput) => {
    keys = await load(areTaken).catch(async (error: unknown) => {
      if (shared.value === undefined) await recallKeys(shared, settings, staging);
      if (shared.value === undefined || !areTaken(shared)) throw error;
      return shared.value;
    });
    const loadedAt = shared.cameAt;
    try {
      return await keys(header, input);
    } catch (error) {
      const isUnknown = error instanceof errors.JWKSNoMatchingKey;
      if (!isUnknown || Date.now() - loadedAt < settings.jwksCooldownMs) throw error;
      keys = await load(({ cameAt }) => cameAt > loadedAt);
      return keys(header, input);
    }
  };
  const { payload } = await jwtVerify(token, keyOf, { ...CHECKS, algorithms: ["ES256", "RS256"] });
  return keys === undefined ? payload : seenBy(keys).keep(token, payload);
}

/** The tokens that some keys have verified: without the keys nobody remembers them. */
const seen = new WeakMap<CryptoKey | Keys, SeenTokens>();

function seenBy(keys: CryptoKey | Keys): SeenTokens {
  const known = seen.get(keys) ?? new SeenTokens();
  seen.set(keys, known);
  return known;
}

/** Imported once for the isolate's life. It is kept as the key, not as its promise, which is one request's. */
const secrets = new Map<string, CryptoKey>();

async function secretOf(text: string): Promise<CryptoKey> {
  const known = secrets.get(text);
  if (known !== undefined) return known;
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(text), hmac, false, ["verify"]);
  secrets.set(text, key);
  return key;
}

function userOf(claims: JWTPayload, settings: Settings): User {
  const { sub, role, is_anonymous: isAnonymous } = claims;
  if (role !== "authenticated") throw new Problem("forbidden", { cause: new Error("another role") });
  if (isAnonymous && !settings.allowAnonymousUsers) {
    throw new Problem("forbidden", { detail: "Anonymous users may not do this. Sign up first." });
  }
  if (typeof sub !== "string" || !LOWER_CASE_UUID.test(sub)) {
    throw new Problem("forbidden", { cause: new Error("sub is no user's id") });
  }
  return { id: sub };
}

/** Takes a token's key out of a JWKS. */
type Keys = ReturnType<typeof createLocalJWKSet>;

/** How long the issuer's keys are good, in ms. */
const KEYS_GOOD_MS = 600_000;
/** How long they are taken while the issuer gives no others, in ms: it is behind the same gateway as all that images are staged for. */
const KEYS_KEPT_MS = 86_400_000;
/** How often it is asked then, in ms. */
const MISSED_MS = 10_000;

function areTaken({ cameAt, failedAt, askingUntil }: Shared<Keys>): boolean {
  const now = Date.now();
  // Somebody is asking, or has just done so in vain.
  const isMissing = now < askingUntil || now - failedAt < MISSED_MS;
  return now - cameAt < (isMissing ? KEYS_KEPT_MS : KEYS_GOOD_MS);
}

/** One a project, kept for the isolate's life, so that the JWKS is fetched now and then and not at every request. */
const known = new Map<string, Shared<Keys>>();

function issuerOf(settings: Settings) {
  const url = jwksUrl(settings);
  const shared = known.get(url) ?? nothingYet<Keys>();
  known.set(url, shared);
  const ask = async () => createLocalJWKSet(await fetchJwks(url));
  const load = (isGood: (known: Shared<Keys>) => boolean) => share(shared, isGood, ask);
  return { shared, load };
}

/** Where the issuer publishes its keys. */
export function jwksUrl({ supabaseUrl }: Settings): string {
  return `${supabaseUrl}/auth/v1/.well-known/jwks.json`;
}

/** The keys that are published there. Throws for what is no set of keys. */
export async function fetchJwks(url: string): Promise<JSONWebKeySet> {
  const answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(ASKING_MS) });
  if (!answer.ok) throw new Error(`the JWKS: ${answer.status}`);
  const jwks = (await answer.json()) as JSONWebKeySet;
  createLocalJWKSet(jwks);
  return jwks;
}

/** Takes those that were kept, as old as they are. */
async function recallKeys(shared: Shared<Keys>, settings: Settings, staging: Staging | undefined): Promise<void> {
  const kept = await staging?.recallKeys(jwksUrl(settings)).catch(() => undefined);
  if (kept === undefined || shared.value !== undefined) return;
  Object.assign(shared, { value: createLocalJWKSet(JSON.parse(kept.jwks)), cameAt: kept.keptAt });
}

/** Whether the token is to blame, and not a JWKS that can't be had. */
function isTokensFault(error: unknown): boolean {
  return (
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}
