/**
 * A proxy that breaks a part of all requests on their way to a Supabase project, the same part for the same seed.
 *
 *   const chaos = await startChaos({ target: supabase.url, seed: 7, rate: 0.2 });
 *   … requests to chaos.url …
 *   chaos.stats;          // { requests, forwarded, faults: { "cut-before": 3, … }, log: [{ method, target, fault }] }
 *   chaos.setRate(0);     // from now on everything goes well
 *   await chaos.close();
 *
 * Faults, by whether the server has done what it was asked:
 *
 *   | fault            | the server      | the client                                                     |
 *   | ---------------- | --------------- | -------------------------------------------------------------- |
 *   | cut-before       | sees nothing    | loses the connection                                           |
 *   | cut-midway       | sees a half     | loses the connection (resumable PATCH requests only)           |
 *   | cut-after        | has committed   | loses the connection                                           |
 *   | truncated        | has committed   | gets a part of the answer, then loses the connection           |
 *   | garbage-after    | has committed   | gets the answer's status with a body of rubbish                |
 *   | portal           | sees nothing    | gets 200 and HTML, as in a hotel's Wi-Fi                       |
 *   | bad-gateway      | sees nothing    | gets 502 and HTML                                              |
 *   | unavailable      | sees nothing    | gets 503 and text                                              |
 *   | rate-limit       | sees nothing    | gets 429 with Retry-After                                      |
 *   | storage-503      | sees nothing    | gets HTTP 400 whose body says 503, LockTimeout (Storage only)  |
 *   | serialization    | sees nothing    | gets 500 with SQLSTATE 40001 (PostgREST only)                  |
 *   | delay            | has committed   | gets the answer late                                           |
 *   | blackout         | sees nothing    | loses this and every connection of the next milliseconds       |
 *
 * What happens to a request is a function of the seed, its method, target and body, and how often this very request
 * has come: two runs with the same seed and the same requests meet the same faults, in whatever order their requests
 * mingle. (A blackout takes along whatever comes in its time, and that is not repeatable.) Ids made by the library
 * make requests differ from run to run: give an `imageId` to have them alike, and name what differs all the same, such
 * as the id of a new user, in `ignore`.
 *
 * Where a test is about certain faults, it places them instead: `place(request, number)` names the fault of a request,
 * counted from 1, or undefined.
 *
 * CORS preflights and routes that are neither Storage's nor PostgREST's pass unharmed, except in a blackout.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { forward } from "./forward.mjs";

/** Every kind of fault, as drawn by default. */
export const FAULTS = [
  "cut-before",
  "cut-midway",
  "cut-after",
  "truncated",
  "garbage-after",
  "portal",
  "bad-gateway",
  "unavailable",
  "rate-limit",
  "storage-503",
  "serialization",
  "delay",
  "blackout",
];

const STORAGE = "/storage/v1/";
const REST = "/rest/v1/";
/** Which faults can happen to a request. */
const APPLIES = {
  "cut-midway": ({ method, body }) => method === "PATCH" && body.length > 1,
  "storage-503": ({ target }) => target.startsWith(STORAGE),
  serialization: ({ target }) => target.startsWith(REST),
};

/** Answers that the proxy gives without asking the server. */
const ANSWERS = {
  portal: () => [200, { "content-type": "text/html" }, "<!doctype html><title>Welcome, please sign in</title>"],
  "bad-gateway": () => [502, { "content-type": "text/html" }, "<html><h1>502 Bad Gateway</h1></html>"],
  unavailable: () => [503, { "content-type": "text/plain" }, "upstream connect error"],
  "rate-limit": ({ retryAfterSeconds }) => [
    429,
    { "content-type": "application/json", "retry-after": String(retryAfterSeconds) },
    JSON.stringify({ message: "too many requests" }),
  ],
  "storage-503": () => [
    400,
    { "content-type": "application/json" },
    JSON.stringify({
      statusCode: "503",
      error: "Lock timeout",
      message: "acquiring lock timeout",
      code: "LockTimeout",
    }),
  ],
  serialization: () => [
    500,
    { "content-type": "application/json" },
    JSON.stringify({
      code: "40001",
      message: "could not serialize access due to concurrent update",
      details: null,
      hint: null,
    }),
  ],
};

/**
 * Starts the proxy on a free port of 127.0.0.1.
 *
 * @param {object} options
 * @param {string} options.target The project's URL.
 * @param {number | string} [options.seed]
 * @param {number} [options.rate] The share of requests to break, from 0 to 1.
 * @param {string[]} [options.faults] The kinds to draw from, see {@link FAULTS}.
 * @param {(request: object, number: number) => string | undefined} [options.place] Names each request's fault, instead
 *   of drawing it; see {@link inTurn}.
 * @param {(request: object) => Promise<void>} [options.beforeCut] Waited for between the half of a request that is let
 *   through and the cut.
 * @param {string[]} [options.ignore] Texts that do not count when requests are told apart.
 * @param {number} [options.blackoutMs] How long a drawn blackout lasts.
 * @param {{ afterRequests: number, ms: number }[]} [options.blackouts] Blackouts at fixed points, beside drawn ones.
 * @param {() => number} [options.now] The clock of blackouts.
 * @param {number} [options.delayMs] How late a delayed answer is.
 * @param {number} [options.retryAfterSeconds] What a 429 asks for.
 */
export async function startChaos({
  target,
  seed = 1,
  rate = 0.2,
  faults = FAULTS,
  place,
  beforeCut = async () => {},
  ignore = [],
  blackoutMs = 300,
  blackouts = [],
  now = () => performance.now(),
  delayMs = 100,
  retryAfterSeconds = 1,
}) {
  for (const fault of faults) if (!FAULTS.includes(fault)) throw new Error(`there is no fault ${fault}`);
  const stats = { requests: 0, forwarded: 0, faults: {}, log: [] };
  const seen = new Map();
  const timers = new Set();
  let darkUntil = 0;
  let share = rate;
  let counted = 0;

  const goDark = (ms) => {
    darkUntil = Math.max(darkUntil, now() + ms);
  };
  const later = (ms, work) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, ms);
    timers.add(timer);
  };

  /** The fault of a request, or undefined. */
  function draw(request) {
    if (!request.target.startsWith(STORAGE) && !request.target.startsWith(REST)) return undefined;
    counted += 1;
    if (place) return place(request, counted);
    const key = identity(request, ignore);
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    const dice = createHash("sha256").update(`${seed}:${key}:${times}`).digest();
    if (dice.readUInt32BE(0) / 2 ** 32 >= share) return undefined;
    const possible = faults.filter((fault) => canHappenTo(fault, request));
    return possible[dice.readUInt32BE(4) % possible.length];
  }

  async function handle(incoming, outgoing) {
    outgoing.on("error", () => {});
    const request = { method: incoming.method, target: incoming.url, headers: incoming.headers, body: Buffer.alloc(0) };
    try {
      const chunks = [];
      for await (const chunk of incoming) chunks.push(chunk);
      request.body = Buffer.concat(chunks);
    } catch {
      return; // the client went away
    }
    stats.requests += 1;
    for (const { afterRequests, ms } of blackouts) if (afterRequests === stats.requests) goDark(ms);
    if (now() < darkUntil) {
      record(request, "in-blackout");
      return void outgoing.destroy();
    }

    const isPreflight = request.method === "OPTIONS" && "access-control-request-method" in request.headers;
    const fault = isPreflight ? undefined : draw(request);
    if (fault) record(request, fault);
    await act(fault, request, outgoing);
  }

  function record({ method, target: path }, fault) {
    stats.faults[fault] = (stats.faults[fault] ?? 0) + 1;
    stats.log.push({ method, target: path, fault });
  }

  async function act(fault, request, outgoing) {
    if (fault === "blackout") goDark(blackoutMs);
    if (fault === "blackout" || fault === "cut-before") return void outgoing.destroy();
    if (fault === "cut-midway") {
      await sendOn(request, { half: true });
      return void outgoing.destroy();
    }
    if (fault in ANSWERS) {
      const [status, headers, body] = ANSWERS[fault]({ retryAfterSeconds });
      return void outgoing.writeHead(status, { ...corsHeaders(request), ...headers }).end(body);
    }
    const answer = await sendOn(request);
    if (fault === "delay") return void later(delayMs, () => reply(outgoing, answer));
    if (fault === "cut-after") return void outgoing.destroy();
    if (fault === "garbage-after") return void reply(outgoing, { ...answer, body: Buffer.from("\u0000\ufffd{]oops") });
    if (fault === "truncated") {
      const part = answer.body.subarray(0, answer.body.length >> 1);
      outgoing.writeHead(answer.status, { ...answer.headers, "content-length": answer.body.length + 1 });
      return void outgoing.write(part.length > 0 ? part : " ", () => outgoing.destroy());
    }
    reply(outgoing, answer);
  }

  /** Sends a request on and collects the answer; `half` breaks it off in the middle of its body. */
  function sendOn(request, { half = false } = {}) {
    stats.forwarded += 1;
    const more = { "x-forwarded-host": request.headers.host, "x-forwarded-proto": "http" };
    const noUpstream = { status: 502, headers: { "content-type": "text/plain" }, body: Buffer.from("no upstream") };
    const cut = half ? () => beforeCut(request) : undefined;
    return forward(target, request, request.body, { more, cut }).catch(() => noUpstream);
  }

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.requestTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stats,
    /** Breaks another share of the requests from now on. */
    setRate(other) {
      share = other;
    },
    /** Cuts every connection for that many milliseconds, from now on. */
    blackout: goDark,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function canHappenTo(fault, request) {
  return APPLIES[fault]?.(request) ?? true;
}

/** Places every kind of fault in turn: at every so many requests the next one, or the first that can happen to it. */
export function inTurn(every, faults = FAULTS) {
  const left = [];
  return (request, number) => {
    if (number % every > 0) return undefined;
    if (left.length === 0) left.push(...faults);
    const at = left.findIndex((fault) => canHappenTo(fault, request));
    return at < 0 ? undefined : left.splice(at, 1)[0];
  };
}

function reply(outgoing, { status, headers, body }) {
  if (outgoing.destroyed) return;
  const { "content-length": length, ...others } = headers;
  // The answer to a HEAD has the length of a body that it does not have.
  const isHead = outgoing.req.method === "HEAD";
  outgoing.writeHead(status, { ...others, ...lengthOf(status, isHead ? length : body.length) });
  outgoing.end(isHead ? undefined : body);
}

/** 204 and 304 have no body and so no length. */
function lengthOf(status, length) {
  return status === 204 || status === 304 || length === undefined ? {} : { "content-length": length };
}

/** A gateway's own answers can be read by a page too; it exposes no header, Retry-After neither. */
function corsHeaders({ headers }) {
  return headers.origin ? { "access-control-allow-origin": "*" } : {};
}

/** What a request has in common with its repetitions, and with no other request. */
function identity({ method, target, headers, body }, ignore) {
  let text = [method, target, headers["upload-offset"] ?? "", body.toString("latin1")].join("\n");
  for (const part of ignore) text = text.replaceAll(part, "");
  return createHash("sha256").update(text, "latin1").digest("hex");
}
