/**
 * A server that plays a list of replies and remembers what it was asked.
 *
 *   const server = await startScripted([{ status: 503 }, { status: 200, body: { Key: "x" } }]);
 *   … requests to server.url …
 *   server.requests   // [{ method, target, headers, body }, …] in the order they arrived
 *   await server.close();
 *
 * A script is one of
 *   - a list of replies: the n-th request gets the n-th reply, every further one the last;
 *   - an object of lists by route, `{ "PUT /storage/v1/object/": [...], "POST /rest/v1/": [...] }`: a request
 *     belongs to the longest `METHOD /prefix` that it starts with;
 *   - a function `(request, index) => reply | undefined`, which may be async.
 *
 * A reply is `{ status = 200, headers = {}, body = "" }`, or a function of the request that makes one. `body` is
 * text, bytes, or an object that is sent as JSON. Instead of answering,
 *   - `status: 0` destroys the socket,
 *   - `hang: true` never answers (the socket lives until the client goes or the server is closed),
 *   - `truncate: true` promises more bytes than it sends, then destroys the socket.
 *
 * A request that no reply matches gets 501, so that a gap in a script never looks like a failing network, and is
 * listed in `server.unmatched`. A CORS preflight is answered from the headers it asks for, takes no reply and is
 * kept in `server.preflights`; every answer may be read by any origin (`cors: false` leaves all of that out).
 */

import { createServer } from "node:http";
import { named } from "./waiting.mjs";

/** Starts the server on a free port of 127.0.0.1. `port` fixes it. */
export async function startScripted(script = [], { cors = true, port = 0 } = {}) {
  const requests = [];
  const preflights = [];
  const unmatched = [];
  const watchers = new Set();
  let next = player(script);

  const server = createServer(async (incoming, outgoing) => {
    const request = {
      method: incoming.method,
      target: incoming.url,
      headers: incoming.headers,
      aborted: false,
      body: Buffer.alloc(0),
    };
    outgoing.on("close", () => {
      request.aborted = !outgoing.writableFinished;
      for (const watch of watchers) watch();
    });
    try {
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      request.body = Buffer.concat(chunks);
    } catch {
      request.aborted = true;
    }
    if (cors && isPreflight(request)) {
      preflights.push(request);
      outgoing.writeHead(204, corsHeaders(request)).end();
      return;
    }
    const index = requests.push(request) - 1;
    for (const watch of watchers) watch();
    if (request.aborted) return;
    try {
      const reply = await next(request, index);
      if (reply === undefined) unmatched.push(request);
      answer(outgoing, reply ?? noReply(request), cors ? corsHeaders(request) : {});
    } catch (error) {
      unmatched.push(request);
      answer(outgoing, { status: 501, body: `the script threw: ${error.stack}` }, cors ? corsHeaders(request) : {});
    }
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    preflights,
    unmatched,
    /** Plays another script from its start; what was recorded is kept. */
    play(other) {
      next = player(other);
    },
    /** Resolves as soon as `test()` is truthy; it is asked after every request and every closed answer. */
    until(test) {
      const come = new Promise((resolve) => {
        const watch = () => {
          if (!test()) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
      });
      return named(`a request such that ${test}`, come);
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Turns a script into `(request, index) => reply`. */
function player(script) {
  if (typeof script === "function") return script;
  if (Array.isArray(script)) return fromList(script);
  const routes = Object.entries(script)
    .map(([route, replies]) => ({ route, play: player(replies) }))
    .sort((a, b) => b.route.length - a.route.length);
  return (request, index) =>
    routes.find(({ route }) => `${request.method} ${request.target}`.startsWith(route))?.play(request, index);
}

function fromList(replies) {
  const left = [...replies];
  return (request, index) => {
    const reply = left.length > 1 ? left.shift() : left[0];
    return typeof reply === "function" ? reply(request, index) : reply;
  };
}

function answer(outgoing, reply, extraHeaders) {
  if (outgoing.destroyed || reply.hang) return;
  const { status = 200, headers = {}, body = "", truncate = false } = reply;
  if (status === 0) {
    outgoing.socket?.destroy();
    return;
  }
  const isPlain = typeof body === "object" && !ArrayBuffer.isView(body);
  const bytes = Buffer.from(isPlain ? JSON.stringify(body) : body);
  const type = isPlain ? "application/json" : "text/plain; charset=utf-8";
  outgoing.writeHead(status, {
    "content-type": type,
    "content-length": bytes.length + (truncate ? 64 : 0),
    ...extraHeaders,
    ...headers,
  });
  if (truncate) outgoing.write(bytes, () => outgoing.socket?.destroy());
  else outgoing.end(bytes);
}

function noReply({ method, target }) {
  return { status: 501, body: { message: `no reply is scripted for ${method} ${target}` } };
}

function isPreflight({ method, headers }) {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}

/** What lets a page of any origin send any header and read the answer. `*` would not cover `authorization`. */
function corsHeaders({ headers }) {
  return {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": headers["access-control-request-headers"] ?? "*",
    "access-control-expose-headers": "*",
    "access-control-max-age": "600",
  };
}
