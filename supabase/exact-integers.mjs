// lite reads a request's JSON into JavaScript numbers, which hold integers up to 2^53 only; PostgREST
// keeps every digit of a bigint. Larger ones are handed to lite as strings, which PostgreSQL reads exactly.

/** A Hono middleware for requests that carry rows. */
export async function exactIntegers(c, next) {
  const { method, raw } = c.req;
  const isJson = /^application\/(json|vnd\.pgrst)/.test(c.req.header("content-type") ?? "");
  if (isJson && method !== "GET" && method !== "HEAD" && c.req.path.startsWith("/rest/v1/")) {
    c.req.raw = new Request(raw.url, {
      method,
      headers: raw.headers,
      body: quoteLargeIntegers(await raw.text()),
      signal: raw.signal,
    });
  }
  return next();
}

/**
 * Quotes the integers past 2^53 that are columns of a row; what is deeper, inside a jsonb, stays as it is.
 * @param {string} text one row or an array of rows; anything else comes back unchanged
 */
export function quoteLargeIntegers(text) {
  const large = new Map();
  let rows;
  try {
    rows = JSON.parse(text, function (key, value, context) {
      if (typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source ?? "")) {
        const columns = large.get(this) ?? {};
        columns[key] = context.source;
        large.set(this, columns);
      }
      return value;
    });
  } catch {
    return text;
  }
  if (large.size === 0) return text;
  for (const row of Array.isArray(rows) ? rows : [rows]) Object.assign(row ?? {}, large.get(row));
  return JSON.stringify(rows);
}
