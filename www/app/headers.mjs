// What the app's answers say to browsers about it, wherever it is served: the local server sends these headers, and the
// build writes them into `_headers`, which Cloudflare Pages and Netlify read.

/**
 * @param {{ supabaseUrl: string, workerUrl?: string }} [config] `config.json`'s. Without it requests may go to any
 *   HTTPS origin.
 * @returns {Record<string, string>} by their names in lower case
 */
export function securityHeaders(config) {
  const supabase = config === undefined ? "https:" : new URL(config.supabaseUrl).origin;
  const worker = config?.workerUrl ? new URL(config.workerUrl).origin : undefined;
  const policy = {
    "default-src": ["'none'"],
    "script-src": ["'self'", "'wasm-unsafe-eval'"],
    "style-src": ["'self'"],
    "font-src": ["'self'"],
    "img-src": ["'self'", "blob:", supabase],
    // Realtime is a WebSocket.
    "connect-src": [
      ...["'self'", supabase, supabase.replace(/^http/, "ws")],
      ...(worker === undefined || worker === supabase ? [] : [worker]),
    ],
    "worker-src": ["'self'"],
    "manifest-src": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"],
  };
  return {
    "content-security-policy": Object.entries(policy)
      .map(([directive, sources]) => [directive, ...sources].join(" "))
      .join("; "),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    // For browsers that don't know frame-ancestors.
    "x-frame-options": "DENY",
  };
}

/** Names under assets/ hold a hash of their content; the others may change with the next build. */
export function cacheControl(path) {
  return path.startsWith("/assets/") ? "max-age=31536000, immutable" : "no-cache";
}

/** The text of `_headers`. */
export function headersFile(config) {
  const rule = (path, headers) => [path, ...Object.entries(headers).map(([name, value]) => `  ${name}: ${value}`)];
  return `${[
    ...rule("/*", securityHeaders(config)),
    ...rule("/assets/*", { "cache-control": cacheControl("/assets/") }),
  ].join("\n")}\n`;
}
