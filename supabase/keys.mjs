// The embedded backend's keys: made at its first start, kept in one file that only its owner can read.
//
// Both kinds that projects have: the legacy keys (JWTs signed with the project's secret) and the
// opaque sb_publishable_… and sb_secret_… ones.

import { createHmac, randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { generateApiKey } from "@supabase/lite";

const TEN_YEARS_IN_SECONDS = 10 * 365 * 24 * 3600;

/**
 * Reads the keys in `directory`, or makes them there.
 * @param {string} directory
 * @returns {Promise<Keys>}
 * @typedef {{ jwtSecret: string, anonKey: string, serviceKey: string, publishableKey: string, secretKey: string }} Keys
 */
export async function loadKeys(directory) {
  const file = path.join(directory, "keys.json");
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw new Error(`cannot read the keys in ${file}: ${error.message}`);
  }
  const keys = await makeKeys();
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(file, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  return keys;
}

/** @returns {Promise<Keys>} fresh keys that are kept nowhere. */
export async function makeKeys() {
  const jwtSecret = randomBytes(32).toString("base64url");
  return {
    jwtSecret,
    anonKey: roleKey("anon", jwtSecret),
    serviceKey: roleKey("service_role", jwtSecret),
    publishableKey: (await generateApiKey("publishable")).key,
    secretKey: (await generateApiKey("secret")).key,
  };
}

/** What lite asks for every `apikey`: who it stands for, or null for a key it does not know. */
export function keyResolver(keys) {
  const anon = { type: "publishable", claims: { role: "anon" } };
  // Not of lite's type "secret", which it refuses to browsers: the gateway does that to sb_secret_ only.
  const service = { type: "publishable", claims: { role: "service_role" } };
  const known = new Map([
    [keys.anonKey, anon],
    [keys.publishableKey, anon],
    [keys.serviceKey, service],
    [keys.secretKey, { ...service, type: "secret" }],
  ]);
  return async (key) => known.get(key) ?? null;
}

/**
 * Signs a JWT (HS256), as the project's Auth service would.
 * @param {Record<string, unknown>} claims
 * @param {string} secret
 */
export function signJwt(claims, secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function roleKey(role, secret) {
  const now = Math.floor(Date.now() / 1000);
  return signJwt({ iss: "supabase", role, iat: now, exp: now + TEN_YEARS_IN_SECONDS }, secret);
}
