// Two users of a project to try it with: by tokens that are given, or made anew and removed again at the end.
import { randomUUID } from "node:crypto";
import { signJwt } from "../../supabase/keys.mjs";

/** The claims of a token, its signature unchecked. */
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

/**
 * @param {{ url: string, key: string, jwtSecret?: string, tokens?: string[] }} project
 * @returns {Promise<{ id: string, token: string, refused: string, remove: () => Promise<void> }[]>}
 */
export async function twoUsers(project) {
  const { tokens } = project;
  if (tokens?.length === 2) {
    return tokens.map((token) => ({ id: claimsOf(token).sub, token, refused: forged(token), remove: async () => {} }));
  }
  return [await createUser(project), await createUser(project)];
}

async function createUser({ url, key, jwtSecret }) {
  const service = jwtSecret && sign({ role: "service_role" }, jwtSecret);
  const account = { email: `acceptance-${randomUUID()}@example.com`, password: randomUUID() };
  const admin = service && (await ask(url, "POST", "admin/users", service, { ...account, email_confirm: true }));
  if (admin?.id) return withToken(admin.id, jwtSecret, () => ask(url, "DELETE", `admin/users/${admin.id}`, service));
  const session = await ask(url, "POST", "signup", key, account);
  const id = session?.user?.id ?? session?.id;
  if (!id || !(jwtSecret || session.access_token)) {
    throw new Error("no users: give JWT_SECRET, or TOKENS=token,token of two signed-in users");
  }
  const remove = async () => {
    if (service) await ask(url, "DELETE", `admin/users/${id}`, service);
  };
  return jwtSecret
    ? withToken(id, jwtSecret, remove)
    : { id, token: session.access_token, refused: forged(session.access_token), remove };
}

function withToken(id, secret, remove) {
  const claims = { sub: id, role: "authenticated", aud: "authenticated" };
  return { id, remove, token: sign(claims, secret), refused: sign(claims, secret, -3600) };
}

/** The token with the signature of no key: what is at hand for an expired one, where none can be made. */
function forged(token) {
  return `${token.slice(0, token.lastIndexOf("."))}.${Buffer.alloc(32, 1).toString("base64url")}`;
}

function sign(claims, secret, seconds = 3600) {
  const now = Math.floor(Date.now() / 1000);
  return signJwt({ ...claims, iat: Math.min(now, now + seconds - 60), exp: now + seconds }, secret);
}

async function ask(url, method, route, key, body) {
  const headers = { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" };
  const response = await fetch(`${url}/auth/v1/${route}`, { method, headers, body: body && JSON.stringify(body) });
  return response.ok ? response.json().catch(() => ({})) : undefined;
}
