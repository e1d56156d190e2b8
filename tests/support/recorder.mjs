/**
 * A proxy that breaks nothing by itself: it remembers when each request was under way, and can be told to lose or to hold
 * some of them.
 *
 *   const recorder = await startRecorder({ target: supabase.url });
 *   … requests to recorder.url …
 *   recorder.requests          // [{ method, target, image, status, startedAt, endedAt }, …] without CORS preflights
 *   recorder.overlaps()        // pairs of requests for one image that were under way at the same time
 *   recorder.offline(true);    // from now on every connection is lost
 *   const hold = recorder.hold({ method: "POST", at: "answer" });
 *   await hold.reached;        // the server has committed a row, and nobody knows
 *   hold.release();            // now the answer goes on
 *
 * `image` is the storage path a request is about, `undefined` for those that are about no image.
 */
import { createServer } from "node:http";
import { forward } from "./forward.mjs";
import { named } from "./waiting.mjs";

/** Starts the proxy on a free port of 127.0.0.1, in front of the project at `target`. */
export async function startRecorder({ target }) {
  const requests = [];
  const holds = new Set();
  const releases = new Set();
  const answers = new Set();
  const pathsById = new Map();
  const pathsByUpload = new Map();
  let isOffline = false;

  async function handle(incoming, outgoing) {
    outgoing.on("error", () => {});
    if (isOffline) return void outgoing.destroy();
    const chunks = [];
    const { method, url: path } = incoming;
    const request = { method, target: path, headers: incoming.headers, startedAt: performance.now() };
    const isPreflight = method === "OPTIONS" && "access-control-request-method" in incoming.headers;
    if (!isPreflight) requests.push(request);
    outgoing.on("close", () => end(request));
    try {
      for await (const chunk of incoming) chunks.push(chunk);
    } catch {
      return; // the client went away
    }
    const body = Buffer.concat(chunks);
    request.image = imageOf(request, body, pathsById, pathsByUpload);

    await pass("request", request);
    if (isOffline || outgoing.destroyed) return void outgoing.destroy();
    const answer = answerOf(request) ?? (await forward(target, request, body).catch(() => undefined));
    request.status = answer?.status;
    request.answerHeaders = answer?.headers;
    rememberUpload(request, pathsByUpload);
    await pass("answer", request);
    // From here on the client may know, and come again.
    end(request);
    if (!answer || isOffline) return void outgoing.destroy();
    outgoing.writeHead(answer.status, answer.headers).end(method === "HEAD" ? undefined : answer.body);
  }

  function end(request) {
    request.endedAt ??= performance.now();
  }

  async function pass(at, request) {
    // A small picture goes beside its image, before or after it.
    const hold = [...holds].find((one) => one.at === at && one.matches(request) && !request.image?.endsWith(".thumb"));
    if (!hold || hold.skip-- > 0) return;
    holds.delete(hold);
    hold.reach(request);
    await hold.released;
  }

  function answerOf(request) {
    const found = [...answers].find((one) => one.matches(request));
    if (!found) return undefined;
    const origin = request.headers.origin ? { "access-control-allow-origin": "*" } : {};
    return {
      status: found.status,
      headers: { "content-type": "application/json", ...origin, ...found.headers },
      body: JSON.stringify(found.body),
    };
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.requestTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    /** For what is no request and answer, such as a WebSocket. */
    server,
    /** Loses every connection from now on, or no longer. */
    offline(is) {
      isOffline = is;
      if (is) server.closeAllConnections();
    },
    /**
     * Holds the next request that fits: before it reaches the server (`at: "request"`) or after the server has done it
     * and before its answer goes on (`at: "answer"`). `image` fits when the storage path contains it, `target` when the
     * request's target does; the first `skip` that fit are let through.
     */
    hold({ method, image, target, at, skip = 0 }) {
      let reach;
      let release;
      const reached = new Promise((resolve) => {
        reach = resolve;
      });
      const released = new Promise((resolve) => {
        release = resolve;
      });
      holds.add({ at, skip, matches: fits({ method, image, target }), reach, released });
      releases.add(release);
      const what = `a ${method ?? "request"} ${target ?? image ?? ""}, to be held at its ${at}`;
      return { reached: named(what, reached), release };
    },
    /** Answers all requests that fit itself, from now on until the function it returns is called. */
    answer({ method, image, target, status, headers, body }) {
      const one = { matches: fits({ method, image, target }), status, headers, body };
      answers.add(one);
      return () => answers.delete(one);
    },
    /** Ends all faults: nothing is lost, held or answered any more, and what was held goes on. */
    mend() {
      isOffline = false;
      answers.clear();
      for (const release of releases) release();
      holds.clear();
      releases.clear();
    },
    /** Pairs of requests for one image that were under way at the same time. */
    overlaps() {
      const found = [];
      for (const same of Map.groupBy(
        requests.filter(({ image }) => image),
        ({ image }) => image,
      ).values()) {
        for (const [index, one] of same.entries()) {
          for (const other of same.slice(index + 1)) {
            if (other.startedAt < (one.endedAt ?? Number.POSITIVE_INFINITY)) found.push([one, other].map(describe));
          }
        }
      }
      return found;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

const describe = ({ method, target, startedAt, endedAt }) => `${method} ${target} ${startedAt} to ${endedAt}`;

const fits =
  ({ method, image = "", target }) =>
  (request) =>
    (method ?? request.method) === request.method &&
    (target === undefined ? request.image?.includes(image) : request.target.includes(target));

const RESUMABLE = /^\/storage\/v1\/upload\/resumable(\/|$)/;

const lastPart = (pathname) => pathname.slice(pathname.lastIndexOf("/") + 1);

/** A resumable upload's path stands in its creation's metadata, its id in the answer's Location. */
function rememberUpload({ method, target, headers, answerHeaders }, pathsByUpload) {
  if (method !== "POST" || !RESUMABLE.test(target) || answerHeaders?.location === undefined) return;
  const [, name] = /\bobjectName ([\w+/=]+)/.exec(headers["upload-metadata"] ?? "") ?? [];
  const path = Buffer.from(name ?? "", "base64").toString();
  pathsByUpload.set(lastPart(new URL(answerHeaders.location, "http://x").pathname), path);
}

/** An upload names the path in its target, an insert in its row; a look at a row names its id. */
function imageOf({ method, target }, body, pathsById, pathsByUpload) {
  const url = new URL(target, "http://x");
  const [, path] = /^\/storage\/v1\/object\/imagen-generated\/(.*)$/.exec(url.pathname) ?? [];
  if (path) return decodeURIComponent(path);
  if (RESUMABLE.test(url.pathname)) return pathsByUpload.get(lastPart(url.pathname));
  if (!url.pathname.startsWith("/rest/v1/images")) return undefined;
  if (method === "GET") return pathsById.get(/[0-9a-f-]{36}/.exec(url.search)?.[0]);
  try {
    const [row] = [JSON.parse(body)].flat();
    pathsById.set(row.id, row.storage_path);
    return row.storage_path;
  } catch {
    return undefined;
  }
}
