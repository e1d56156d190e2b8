import type { LinkOptions } from "imagen-cloud";
import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { LinkShape, read, SignShape } from "./shapes";
import { ATTEMPT_MS, askSupabase, BUCKET, keyHeaders, newSink, signingSink } from "./supabase";

const SIGN_NAMES = Object.keys(SignShape.entries);
const LINK_NAMES = Object.keys(LinkShape.entries);

/** A URL of one of the user's own images, from the query `path` and what it says of the link. */
export async function signUrl(query: URLSearchParams, user: User, settings: Settings): Promise<string> {
  const { path, ttl, ...transform } = read(SignShape, onceEach(query, SIGN_NAMES));
  if (!isOwnPath(path, user)) throw new Problem("not_yours");
  return sign(path, toLink(ttl, transform), settings);
}

/**
 * The link that a query asks for, by `ttl` in seconds and by what Storage is to make of the picture; or none, unless it is
 * `needed`.
 */
export function readLink(query: URLSearchParams, needed = false): LinkOptions | undefined {
  const { ttl, ...transform } = read(LinkShape, onceEach(query, LINK_NAMES));
  if (ttl !== undefined) return toLink(ttl, transform);
  if (needed || isGiven(transform))
    throw new Problem("invalid_request", { detail: "A link needs its ttl.", field: "ttl" });
  return undefined;
}

function toLink(expiresIn: number, transform: object): LinkOptions {
  return isGiven(transform) ? { expiresIn, transform } : { expiresIn };
}

function isGiven(transform: object): boolean {
  return Object.keys(transform).length > 0;
}

/** The link that comes with an image that has arrived; `null` where it can't be had, which fails nothing. */
export function linkOf(path: string, link: LinkOptions, settings: Settings): Promise<string | null> {
  return sign(path, link, settings).catch(() => null);
}

async function sign(path: string, link: LinkOptions, settings: Settings): Promise<string> {
  const { expiresIn, transform } = link;
  const until = Date.now() + settings.syncDeadlineMs;
  const call = () => ({ deadlineMs: Math.max(1, until - Date.now()), ...(transform && { transform }) });
  if (transform !== undefined || !PLAIN.test(path)) {
    return (await signingSink(settings)).signedUrl(path, expiresIn, call());
  }
  const first = askPlainly(path, expiresIn, settings);
  const usual = await readUsual(first, path, settings).catch(() => undefined);
  if (usual !== undefined) return usual;
  const sink = await newSink(settings, { fetch: beginningWith(first) });
  try {
    return await sink.signedUrl(path, expiresIn, call());
  } finally {
    sink.free();
  }
}

/** Of these letters nothing is written otherwise in a URL. */
const PLAIN = /^[\w./-]+$/;

/** What is read of an answer. */
interface Told {
  answer: Response;
  text: string;
}

/**
 * What the package asks first for the link of a path that needs no escapes, which is what almost all links are: the package
 * takes a fifth of a request's time for it. What another answer than the usual one means, and whether to ask again, is the package's
 * to know.
 */
async function askPlainly(path: string, expiresIn: number | undefined, settings: Settings): Promise<Told> {
  const answer = await askSupabase(`${settings.supabaseUrl}/storage/v1/object/sign/${BUCKET}/${path}`, {
    method: "POST",
    headers: { ...keyHeaders(settings), "content-type": "application/json" },
    body: JSON.stringify({ expiresIn }),
    signal: AbortSignal.timeout(Math.min(ATTEMPT_MS, settings.syncDeadlineMs)),
  });
  return { answer, text: await answer.text() };
}

async function readUsual(asked: Promise<Told>, path: string, settings: Settings): Promise<string | undefined> {
  const { answer, text } = await asked;
  const { signedURL } = JSON.parse(text) as { signedURL?: unknown };
  const [signed, token = ""] = String(signedURL).split("?token=");
  const isUsual = answer.ok && signed === `/object/sign/${BUCKET}/${path}` && PLAIN.test(token);
  return isUsual ? `${settings.publicUrl}/storage/v1${signedURL}` : undefined;
}

/** A `fetch` whose first request has been made. */
function beginningWith(asked: Promise<Told>): typeof fetch {
  let isFirst = true;
  return async (input, init) => {
    if (!isFirst) return askSupabase(input, init);
    isFirst = false;
    const { answer, text } = await asked;
    return Object.assign(answer, { text: async () => text });
  };
}

/**
 * Whether the path, as it stands, names an object in the user's folder. What a server further on might still decode,
 * fold or resolve (`%`, `\`, control characters, `.`, `..` and empty segments) is in no path that was ever stored.
 */
export function isOwnPath(path: string, user: User): boolean {
  const [owner, ...segments] = path.split("/");
  return (
    owner === user.id &&
    segments.length > 0 &&
    segments.every((segment) => segment !== "" && segment !== "." && segment !== "..") &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    !/[%\\\u0000-\u001f\u007f]/.test(path)
  );
}

/** What a query gives of these names. */
export function onceEach(query: URLSearchParams, names: string[]): Record<string, string> {
  const given: Record<string, string> = {};
  // Each parameter is a call into the host, and most queries have one or two.
  for (const [name, value] of query) {
    if (!names.includes(name)) continue;
    if (Object.hasOwn(given, name)) throw twice(name);
    given[name] = value;
  }
  return given;
}

export function once(query: URLSearchParams, name: string): string | undefined {
  return onceEach(query, [name])[name];
}

/** Of two values it would be open which one was checked. */
function twice(name: string): Problem {
  return new Problem("invalid_request", { detail: `${name} is given twice.`, field: name });
}
