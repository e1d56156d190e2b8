// Who a request to Storage is from, as the real server sees it: the gateway swaps an opaque key for the
// JWT it stands for, Storage verifies the JWT.

import { jwtVerify } from "jose";
import { keyResolver } from "./keys.mjs";
import { storageError } from "./storage-errors.mjs";

const ROLES = ["anon", "authenticated", "service_role"];

/**
 * @param {Headers} headers
 * @param {import("./keys.mjs").Keys} keys
 * @returns {Promise<{ role: string, sub: string | null, jwt: Record<string, unknown> }>}
 * @throws {import("./storage-errors.mjs").StorageError} AccessDenied; InvalidRequest without Authorization; DatabaseError for
 *   a role that there is not
 */
export async function authenticate(headers, keys) {
  const claims = await readClaims(headers, keys);
  const { role = "anon" } = claims;
  if (!ROLES.includes(role)) throw storageError("DatabaseError", `role "${role}" does not exist`);
  return {
    role,
    sub: typeof claims.sub === "string" ? claims.sub : null,
    jwt: claims,
  };
}

async function readClaims(headers, keys) {
  const apikey = headers.get("apikey");
  const bearer = /^Bearer\s+(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
  if (bearer === undefined || bearer === apikey) {
    const known = apikey === null ? null : await keyResolver(keys)(apikey);
    if (known !== null) return known.claims;
  }
  if (bearer === undefined) throw storageError("InvalidRequest", "headers must have required property 'authorization'");
  try {
    const { payload } = await jwtVerify(bearer, new TextEncoder().encode(keys.jwtSecret), { algorithms: ["HS256"] });
    return payload;
  } catch (error) {
    throw storageError("AccessDenied", error.message);
  }
}
