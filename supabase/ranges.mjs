// lite answers a Range request with the whole object.

/**
 * The part that a request asks for: 206, or 416 past the end. What asks for no one part comes back as it is.
 * @param {Response} response of the whole object
 * @param {string | null} range the request's header
 */
export async function partOf(response, range) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (response.status !== 200 || from === undefined) return response;
  const bytes = await response.arrayBuffer();
  const headers = new Headers(response.headers);
  const start = Number(from);
  const end = Math.min(to === "" ? Number.POSITIVE_INFINITY : Number(to), bytes.byteLength - 1);
  if (start > end) {
    return new Response(null, { status: 416, headers: { "content-range": `bytes */${bytes.byteLength}` } });
  }
  headers.set("content-range", `bytes ${start}-${end}/${bytes.byteLength}`);
  headers.set("content-length", String(end - start + 1));
  return new Response(bytes.slice(start, end + 1), { status: 206, headers });
}
