import { authenticate, type User } from "./auth";
import { discardBody } from "./body";
import { corsHeaders, PREFLIGHT_HEADERS, SECURITY_HEADERS } from "./cors";
import { findImage, listImages, removeImage } from "./images";
import { logOutcome } from "./log";
import { Problem, toProblem } from "./problem";
import { type Env, readAllowedOrigins, readSettings, type Settings } from "./settings";
import { once, readLink, signUrl } from "./signed-url";
import type { Staging } from "./staging";
import { isReachable } from "./supabase";
import { syncImage } from "./sync";
import { commitTicket, makeTicket, renewTicket } from "./tickets";

/** What an API is made of. Only the first is needed: the others are services that not every host has. */
export interface ApiParts {
  /** The settings, as text. */
  env: Env;
  /** Keeps images while Supabase is down. Without it they are refused meanwhile (503), and their sender keeps them. */
  staging?: Staging | undefined;
  /** Counts a request of the user, and says whether it is one of too many. Without it nobody counts. */
  isOverRate?: ((user: User) => Promise<boolean>) | undefined;
}

/** The host's promise to let work end that an answer does not wait for. */
export interface Context {
  waitUntil(work: Promise<unknown>): void;
}

/** Answers a request, whatever becomes of it: it never rejects. */
export type Api = (request: Request, context?: Context) => Promise<Response>;

/** What a route has to do with. */
interface Call extends ApiParts {
  request: Request;
  url: URL;
  settings: Settings;
  /** What the path has in the place of `:id`. */
  id: string;
  context: Context | undefined;
}

/** What a route answers, before the headers that all answers have. */
interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: object;
}

/** `know` is told who is asking, for the log, once that is known. */
type Handler = (call: Call, know: (user: User) => void) => Promise<Answer>;

/** Refuses who has not signed in, or asks too often. */
const asUser =
  (work: (call: Call, user: User) => Promise<Answer>): Handler =>
  async (call, know) => {
    const user = await authenticate(call.request.headers.get("authorization"), call.settings, call.staging);
    know(user);
    // The longer of the periods that a host may count in would be 60 s.
    if (await call.isOverRate?.(user)) throw new Problem("rate_limited", { retryAfterSeconds: 10 });
    return work(call, user);
  };

/** What has begun is ended, also when the client does not wait for it: else nobody would give back the room that it has taken. */
function toItsEnd<T>({ context }: Call, work: Promise<T>): Promise<T> {
  context?.waitUntil(work.catch(() => {}));
  return work;
}

async function removed(call: Call, which: { imageId?: string }, user: User): Promise<Answer> {
  const { url, settings, staging } = call;
  const given = { ...which, storagePath: once(url.searchParams, "storagePath") };
  return { status: 200, body: await toItsEnd(call, removeImage(given, user, settings, staging)) };
}

/** Each route by the name that it has in the log, and what it does by method. */
const ROUTES = Object.entries<Record<string, Handler>>({
  "/api/sync": {
    POST: asUser(async (call, user) => {
      const { request, url, settings, staging, env } = call;
      const link = readLink(url.searchParams);
      const done = await toItsEnd(call, syncImage(request, link, user, settings, staging, env));
      return { status: done.queued ? 202 : 201, body: done };
    }),
  },
  "/api/tickets": {
    POST: asUser(async (call, user) => {
      const { request, settings, staging } = call;
      return { status: 201, body: await toItsEnd(call, makeTicket(request, user, settings, staging)) };
    }),
  },
  "/api/tickets/:id/renew": {
    POST: asUser(async ({ id, settings }, user) => ({ status: 201, body: await renewTicket(id, user, settings) })),
  },
  "/api/tickets/:id/commit": {
    POST: asUser(async (call, user) => {
      const { id, request, url, settings, staging } = call;
      const link = readLink(url.searchParams);
      return { status: 201, body: await toItsEnd(call, commitTicket(id, request, link, user, settings, staging)) };
    }),
  },
  "/api/images": {
    GET: asUser(async (call, user) => ({
      status: 200,
      body: await toItsEnd(call, listImages(call.url.searchParams, user, call.settings)),
    })),
    DELETE: asUser((call, user) => removed(call, {}, user)),
  },
  "/api/images/:id": {
    GET: asUser(async (call, user) => {
      const { id, url, settings, staging } = call;
      return { status: 200, body: await toItsEnd(call, findImage(id, url.searchParams, user, settings, staging)) };
    }),
    DELETE: asUser((call, user) => removed(call, { imageId: call.id }, user)),
  },
  "/api/signed-url": {
    GET: asUser(async ({ url, settings }, user) => ({
      status: 200,
      body: { url: await signUrl(url.searchParams, user, settings) },
    })),
  },
  "/api/health": {
    GET: async ({ settings }) => {
      const isUp = await isReachable(settings);
      return { status: isUp ? 200 : 503, body: { supabase: isUp ? "reachable" : "unreachable" } };
    },
  },
}).map(([name, methods]) => ({ name, methods, path: new RegExp(`^${name.replace(":id", "([^/]+)")}$`) }));

/** What all answers have, without a body and with one. Made once: to copy headers is quicker than to make them of an object. */
const BARE = new Headers(SECURITY_HEADERS);
const WITH_JSON = new Headers({ ...SECURITY_HEADERS, "content-type": "application/json" });

/**
 * The API, for any host that has the web's `Request` and `Response`: a Worker, Deno, Node. What its requests share is the
 * module's, so one of them is enough for an isolate.
 */
export function createApi(parts: ApiParts): Api {
  const { env } = parts;
  const allowedOrigins = readAllowedOrigins(env);
  // Read by the first request: a host that lacks a setting answers with an error that a page can read.
  let known: Settings | undefined;

  return async (request, context) => {
    const started = Date.now();
    const requestId = crypto.randomUUID();
    let [route, userId, cors, problem]: [string, string?, Record<string, string>?, Problem?] = ["unknown"];
    let answer: Answer;
    try {
      const url = urlOf(request);
      cors = corsHeaders(request, url.origin, allowedOrigins);
      if (request.method === "OPTIONS") {
        answer = { status: 204, headers: PREFLIGHT_HEADERS };
      } else {
        known ??= readSettings(env);
        const settings = known;
        const found = find(url.pathname, settings.basePath);
        route = found.route.name;
        const call = { ...parts, request, url, settings, id: found.id, context };
        answer = await handlerOf(found.route.methods, request.method)(call, (user) => {
          userId = user.id;
        });
      }
    } catch (error) {
      problem = toProblem(error);
      await discardBody(request);
      answer = problem.toAnswer(requestId);
    }
    const { status } = answer;
    const outcome = { requestId, method: request.method, route, status, userId, problem };
    logOutcome({ ...outcome, durationMs: Date.now() - started }, env);
    return toResponse(answer, request.method, { ...cors, "x-request-id": requestId });
  };
}

/** A host that makes it of a header may make one that is none. */
function urlOf({ url }: Request): URL {
  if (!URL.canParse(url)) throw new Problem("invalid_request", { detail: "The request has no address." });
  return new URL(url);
}

function toResponse({ status, headers, body }: Answer, method: string, own: Record<string, string>): Response {
  const text = body === undefined || method === "HEAD" ? null : JSON.stringify(body);
  const response = new Response(text, { status, headers: body === undefined ? BARE : WITH_JSON });
  for (const [name, value] of Object.entries({ ...headers, ...own })) response.headers.set(name, value);
  return response;
}

function find(pathname: string, base: string) {
  const path = pathname.slice(base.length);
  for (const route of pathname.startsWith(base) ? ROUTES : []) {
    const match = route.path.exec(path);
    if (match !== null) return { route, id: match[1] ?? "" };
  }
  throw new Problem("not_found");
}

function handlerOf(methods: (typeof ROUTES)[number]["methods"], method: string) {
  const name = method === "HEAD" ? "GET" : method;
  // A method may be any word, `constructor` too.
  const handler = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (handler === undefined) throw new Problem("method_not_allowed", { allow: Object.keys(methods) });
  return handler;
}
