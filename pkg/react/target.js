// Whose images they are, and what sends them.
import { createRelay, createSink } from "imagen-cloud/outbox";

/** Of whom a thing is, and where it goes: a change of any of it is another user. A token is no part of it, as it changes. */
export function keyOf(user, kind) {
  if (!user?.ownerUserId) return undefined;
  const texts = Object.entries(user).filter(([, value]) => typeof value !== "function");
  return JSON.stringify([kind, texts.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** A sink, or a relay for a user without a key; it asks whoever gave the user last for the token. */
export function connect(entry) {
  const options = { ...entry.user, ...(entry.user.accessToken && { accessToken: () => entry.user.accessToken() }) };
  return entry.user.apiKey === undefined ? createRelay(options) : createSink(options);
}

/**
 * Whether what a rendering has given is still about who is signed in: a handler that waits for its image calls it later, and
 * that image is not another user's.
 */
export function checkOwner(hook, owner, now) {
  if (!owner || !now) throw new Error(`${hook}: nobody is signed in, or the component is gone`);
  if (owner !== now) throw new Error(`${hook}: another user is signed in than when this was rendered`);
}
