import { type Context, Hono } from "hono";
import { authenticate, type User } from "./auth";
import { corsHeaders, PREFLIGHT_HEADERS, SECURITY_HEADERS } from "./cors";
import { logOutcome } from "./log";
import { Problem } from "./problem";
import { limitRate } from "./rate-limit";
import { type Bindings, readSettings, type Settings } from "./settings";
import { signUrl } from "./signed-url";
import { isReachable } from "./supabase";
import { syncImage } from "./sync";

interface AppEnv {
  Bindings: Bindings;
  Variables: { requestId: string; userId?: string; problem?: Problem; cors?: Record<string, string> };
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
      route: ROUTES[c.req.path] === undefined ? "unknown" : c.req.path,
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
  return c.json(await syncImage(c.req.raw, user, settings), 201);
});

app.get("/api/signed-url", async (c) => {
  const { user, settings } = await signedIn(c);
  return c.json({ url: await signUrl(new URL(c.req.url).searchParams, user, settings) });
});

app.get("/api/health", async (c) => {
  const reachable = await isReachable(readSettings(c.env));
  return c.json({ supabase: reachable ? "reachable" : "unreachable" }, reachable ? 200 : 503);
});

/** The method each route takes. */
const ROUTES: Record<string, string> = { "/api/sync": "POST", "/api/signed-url": "GET", "/api/health": "GET" };

app.notFound((c) => {
  const method = ROUTES[c.req.path];
  const problem = new Problem(method === undefined ? "not_found" : "method_not_allowed");
  const answer = respond(c, problem);
  if (method !== undefined) answer.headers.set("allow", method);
  return answer;
});

app.onError((error, c) => respond(c, error instanceof Problem ? error : new Problem("internal", { cause: error })));

function respond(c: AppContext, problem: Problem): Response {
  c.set("problem", problem);
  return problem.toResponse(c.get("requestId"));
}

async function signedIn(c: AppContext): Promise<{ user: User; settings: Settings }> {
  const settings = readSettings(c.env);
  const user = await authenticate(c.req.header("authorization"), settings);
  c.set("userId", user.id);
  await limitRate(user, c.env);
  return { user, settings };
}
