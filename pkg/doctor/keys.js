// What can be seen of a key or a token by looking at it: its kind, whose it is, and until when.
import { isBare, NOT_BARE } from "./address.js";

/** The claims of a JWT, its signature unchecked; undefined for what is none. */
export function claimsOf(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0))));
    return typeof claims === "object" && claims !== null ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** @returns {"publishable" | "secret" | "user" | "unknown"} */
export function kindOf(key) {
  if (key.startsWith("sb_publishable_")) return "publishable";
  if (key.startsWith("sb_secret_")) return "secret";
  const role = claimsOf(key)?.role;
  return { anon: "publishable", service_role: "secret", authenticated: "user" }[role] ?? "unknown";
}

/** The project that a hosted address or an old key is about, such as `abcd` of `abcd.supabase.co`. */
export const projectOf = (url) => /^([a-z0-9]+)\.supabase\.(?:co|in)$/.exec(url.hostname)?.[1];

/**
 * What is wrong with a key as it was given, in words, with what to do; undefined if nothing is.
 * @param {string} key @param {URL} url of the project
 */
export function faultOf(key, url) {
  const again = "Copy it once more, from the dashboard's page Settings, API Keys.";
  if (key === "") return ["there is no key", again];
  if (!isBare(key)) return [`the key ${NOT_BARE}`, again];
  if (/^bearer /i.test(key)) return ['the key begins with "Bearer", which is no part of it', "Leave that out."];
  if (!/^[!-~]+$/.test(key)) return ["the key holds characters that no key has", again];
  const claims = claimsOf(key);
  if (projectOf(url) && !/^(?:sb_|eyJ)/.test(key))
    return ["this is no API key, as sb_publishable_…, sb_secret_… or eyJ… is one", again];
  if (kindOf(key) === "user") {
    return ["this is a user's token, and no key", "Give the publishable key as the key, and this as the user's token."];
  }
  const [own, project] = [claims?.ref, projectOf(url)];
  if (own && project && own !== project) {
    return [`the key is the project ${own}'s, and the address ${project}'s`, "Take both from the same project."];
  }
  if (claims?.exp * 1000 < Date.now()) return [`the key expired ${since(claims.exp)}`, again];
  return undefined;
}

/** How long ago a time was, which is in seconds since 1970. */
export const since = (seconds) => `${span(Date.now() - seconds * 1000)} ago`;

/** A time in words, of ms. */
export function span(ms) {
  const units = { day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1000 };
  const [unit, length] = Object.entries(units).find(([, length]) => ms >= 2 * length) ?? ["second", 1000];
  const count = Math.round(ms / length);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
