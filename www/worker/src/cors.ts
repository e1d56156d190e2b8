import { Problem } from "./problem";

/**
 * The headers that let the request's page read the answer. Throws for a page of an origin that is neither ours nor allowed: its browser would
 * hide the answer only after the image had been written. Without `Origin` no page is asking, and there is nothing to do.
 */
export function corsHeaders(request: Request, own: string, allowed: readonly string[]): Record<string, string> {
  const origin = request.headers.get("origin");
  if (origin === null) return {};
  if (origin !== own && !allowed.includes(origin)) throw new Problem("origin_not_allowed");
  return { "access-control-allow-origin": origin, "access-control-expose-headers": "retry-after, x-request-id" };
}

/** Beside {@link corsHeaders}, in the answer to a preflight. */
export const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": "GET, POST, DELETE",
  "access-control-allow-headers": "authorization, content-type",
  "access-control-max-age": "3600",
};

/** In every answer. They keep it out of caches, frames and other sites' pages. */
export const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "x-content-type-options": "nosniff",
  vary: "Origin",
};
