import type { User } from "./auth";
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { read, SignShape } from "./shapes";
import { withSink } from "./supabase";

/** A URL of one of the user's own images, from the query `path` and `ttl` (seconds). */
export async function signUrl(query: URLSearchParams, user: User, settings: Settings): Promise<string> {
  const { path, ttl } = read(SignShape, { path: once(query, "path"), ttl: once(query, "ttl") });
  if (!isOwnPath(path, user)) throw new Problem("not_yours");
  return withSink(user, settings, (sink) => sink.signedUrl(path, ttl, { deadlineMs: settings.syncDeadlineMs }));
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

/** Of two values it would be open which one was checked. */
export function once(query: URLSearchParams, name: string): string | undefined {
  const [value, ...more] = query.getAll(name);
  if (more.length > 0) throw new Problem("invalid_request", { detail: `${name} is given twice.`, field: name });
  return value;
}
