import type { Context } from "hono";
import { Hono } from "hono/tiny";
import { authenticate, type User } from "./auth";
import { discardBody } from "./body";
import { corsHeaders, PREFLIGHT_HEADERS, SECURITY_HEADERS } from "./cors";
import { logOutcome } from "./log";
import { Problem, toProblem } from "./problem";
import { limitRate } from "./rate-limit";
import { type Bindings, readSettings, type Settings } from "./settings";
import { signUrl } from "./signed-url";
import { isReachable } from "./supabase";
import { syncImage } from "./sync";
import { commitTicket, makeTicket, renewTicket } from "./tickets";

interface AppEnv {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    userId?: string;
    problem?: Problem;
    cors?: Record<string, string>;
  };
}
type AppContext = Context<AppEnv>;

export const app = new Hono<AppEnv>();

// Around everything: id, headers and the log line. Routes and onError only decide status and body.
app.use(async (c, next) => {
  const started = Date.now();
  c.set("requestId", crypto.randomUUID());
  await next();
  const headers = { ...SECURITY_HEADERS, ...c.get("cors"), "x-request-id": c.get("requestId") };
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
  logOutcome(
    {
      requestId: c.get("requestId"),
      method: c.req.method,
      route: routeOf(c.req.path)?.name ?? "unknown",
      status: c.res.status,
      durationMs: Date.now() - started,
      userId: c.get("userId"),
      problem: c.get("problem"),
    },
    c.env,
  );
});

app.use(async (c, next) => {
  c.set("cors", corsHeaders(c.req.raw, c.env));
  if (c.req.method !== "OPTIONS") return next();
  return c.body(null, 204, PREFLIGHT_HEADERS);
});

app.post("/api/sync", async (c) => {
  const { user, settings } = await signedIn(c);
  const work = syncImage(c.req.raw, user, settings, c.env);
  // What has begun is ended, also when the client does not wait for it.
  c.executionCtx.waitUntil(work.catch(() => {}));
  const accepted = await work;
  return c.json(accepted, accepted.queued ? 202 : 201);
});

app.post("/api/tickets", async (c) => {
  const { user, settings } = await signedIn(c);
  return c.json(await makeTicket(c.req.raw, user, settings), 201);
});

app.post("/api/tickets/:id/renew", async (c) => {
  const { user, settings } = await signedIn(c);
  return c.json(await renewTicket(c.req.param("id"), user, settings), 201);
});

app.post("/api/tickets/:id/commit", async (c) => {
  const { user, settings } = await signedIn(c);
  return c.json(await commitTicket(c.req.param("id"), c.req.raw, user, settings), 201);
});

app.get("/api/signed-url", async (c) => {
  const { user, settings } = await signedIn(c);
  return c.json({ url: await signUrl(new URL(c.req.url).searchParams, user, settings) });
});

app.get("/api/health", async (c) => {
  const reachable = await isReachable(readSettings(c.env));
  return c.json({ supabase: reachable ? "reachable" : "unreachable" }, reachable ? 200 : 503);
});

/** The method each route takes, and the name it has in the log: a ticket is no part of it. */
const ROUTES = [
  { name: "/api/sync", path: /^\/api\/sync$/, method: "POST" },
  { name: "/api/tickets", path: /^\/api\/tickets$/, method: "POST" },
  { name: "/api/tickets/:id/renew", path: /^\/api\/tickets\/[^/]+\/renew$/, method: "POST" },
  { name: "/api/tickets/:id/commit", path: /^\/api\/tickets\/[^/]+\/commit$/, method: "POST" },
  { name: "/api/signed-url", path: /^\/api\/signed-url$/, method: "GET" },
  { name: "/api/health", path: /^\/api\/health$/, method: "GET" },
];

function routeOf(path: string) {
  return ROUTES.find((route) => route.path.test(path));
}

app.notFound(async (c) => {
  const route = routeOf(c.req.path);
  const problem = new Problem(route === undefined ? "not_found" : "method_not_allowed");
  const answer = await respond(c, problem);
  if (route !== undefined) answer.headers.set("allow", route.method);
  return answer;
});

app.onError((error, c) => respond(c, toProblem(error)));

async function respond(c: AppContext, problem: Problem): Promise<Response> {
  c.set("problem", problem);
  await discardBody(c.req.raw);
  return problem.toResponse(c.get("requestId"));
}

async function signedIn(c: AppContext): Promise<{ user: User; settings: Settings }> {
  const settings = readSettings(c.env);
  const user = await authenticate(c.req.header("authorization"), settings);
  c.set("userId", user.id);
  await limitRate(user, c.env);
  return { user, settings };
}
