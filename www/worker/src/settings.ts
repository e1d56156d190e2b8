import type { BodyLimits } from "./body";
import { Problem } from "./problem";

/** The settings as a host hands them over: text, whatever they mean. */
export interface Env {
  /** What stands before `/api` in the paths of requests, such as `/functions/v1/imagen`. Default: nothing. */
  BASE_PATH?: string;
  /** The project's URL. The path of a service behind it, such as `/rest/v1`, is taken off. */
  SUPABASE_URL?: string;
  /** The same as pages reach it, where they do by another address: links begin with it. Default: `SUPABASE_URL`. */
  SUPABASE_PUBLIC_URL?: string;
  /** The project's secret (or service_role) key. Leaves the Worker only towards `SUPABASE_URL`. */
  SUPABASE_SERVICE_KEY?: string;
  /** The secret of a project that signs its users' tokens with HS256. Left out, the issuer's JWKS is asked. */
  SUPABASE_JWT_SECRET?: string;
  /** `iss` of the tokens. Default: either address of the project, with `/auth/v1` behind it or without. */
  SUPABASE_JWT_ISSUER?: string;
  /** How long an unknown key id waits for the next look at the JWKS, in ms. Default 30000. */
  JWKS_COOLDOWN_MS?: string;
  /** `"true"` lets users in who signed in anonymously. Default: they are refused. */
  ALLOW_ANONYMOUS_USERS?: string;
  /** Other origins than the Worker's own whose pages may call it, separated by spaces or commas. */
  ALLOWED_ORIGINS?: string;
  /** Columns of your own that callers may write and ask for, separated by spaces or commas. Default: none. */
  COLUMNS?: string;
  /** The largest body of `POST /api/sync`, in bytes. Default 25 MiB: a Worker has 128 MB for all its requests. */
  MAX_BODY_BYTES?: string;
  /** How long such a body may take to come, in ms. Default 60000. Slower lines have tickets, which resume. */
  BODY_TIMEOUT_MS?: string;
  /** How long a body waits for others to be done, in ms, before it is told to come again. Default 30000. */
  BODY_WAIT_MS?: string;
  /** The largest image that comes by a ticket, in bytes. Default 100 MiB, the bucket's limit. */
  MAX_IMAGE_BYTES?: string;
  /** How many of one user's uploads may have a ticket and wait for their commit. Default 100. */
  MAX_OPEN_UPLOADS?: string;
  /** How long a ticket lives, in seconds. Default 86400. */
  TICKET_TTL_SECONDS?: string;
  /** How long after the first ticket's end it can still be renewed, in seconds. Default 604800, 7 days. */
  TICKET_RENEWABLE_SECONDS?: string;
  /** How long an upload is kept after its last ticket could have ended, in seconds. Default 86400. */
  UPLOAD_MARGIN_SECONDS?: string;
  /** How long one request may work on Supabase, retries included, in ms, before its image is staged. Default 10000. */
  SYNC_DEADLINE_MS?: string;
  /** The first wait between two tries within a request, in ms, doubled by every further one. Default 500. */
  SYNC_BACKOFF_MS?: string;
  /** How long the delivery of a staged image may take, in ms. Default 60000. */
  DELIVERY_DEADLINE_MS?: string;
  /** The first wait for the delivery of a staged image, in seconds, doubled by every further one. Default 15. */
  RETRY_DELAY_SECONDS?: string;
  /** An object without a row is removed by the cron trigger when it is so old, in hours, 168 at least. Default: none is. */
  REMOVE_ORPHANS_AFTER_HOURS?: string;
  /** A staged image so old is queued again by the cron trigger, in seconds. Default 3600. */
  STAGED_STALE_SECONDS?: string;
}

/** The settings, checked. */
export interface Settings {
  basePath: string;
  supabaseUrl: string;
  /** What callers are told begins with this; requests go to the other one. */
  publicUrl: string;
  serviceKey: string;
  jwtSecret: string | undefined;
  issuers: string[];
  jwksCooldownMs: number;
  allowAnonymousUsers: boolean;
  columns: string[];
  /** Of `POST /api/sync`. */
  body: BodyLimits;
  bodyWaitMs: number;
  maxImageBytes: number;
  maxOpenUploads: number;
  ticketTtlSeconds: number;
  ticketRenewableSeconds: number;
  uploadMarginSeconds: number;
  syncDeadlineMs: number;
  syncBackoffMs: number;
  deliveryDeadlineMs: number;
  retryDelaySeconds: number;
  stagedStaleSeconds: number;
  removeOrphansAfterHours: number | undefined;
}

/** Throws a `misconfigured` problem; its `cause`, for the log only, names the setting. */
export function readSettings(env: Env): Settings {
  const supabaseUrl = readProjectUrl(env, "SUPABASE_URL");
  const publicUrl = env.SUPABASE_PUBLIC_URL?.trim() ? readProjectUrl(env, "SUPABASE_PUBLIC_URL") : supabaseUrl;
  return {
    basePath: readBasePath(env),
    supabaseUrl,
    publicUrl,
    serviceKey: required(env, "SUPABASE_SERVICE_KEY"),
    jwtSecret: env.SUPABASE_JWT_SECRET?.trim() || undefined,
    issuers: readIssuers(env, [supabaseUrl, publicUrl]),
    jwksCooldownMs: number(env, "JWKS_COOLDOWN_MS", 30_000),
    allowAnonymousUsers: env.ALLOW_ANONYMOUS_USERS === "true",
    columns: words(env.COLUMNS),
    body: { bytes: number(env, "MAX_BODY_BYTES", 25 * 1024 * 1024), ms: number(env, "BODY_TIMEOUT_MS", 60_000) },
    bodyWaitMs: number(env, "BODY_WAIT_MS", 30_000),
    maxImageBytes: number(env, "MAX_IMAGE_BYTES", 100 * 1024 * 1024),
    maxOpenUploads: number(env, "MAX_OPEN_UPLOADS", 100),
    ticketTtlSeconds: number(env, "TICKET_TTL_SECONDS", 86_400),
    ticketRenewableSeconds: number(env, "TICKET_RENEWABLE_SECONDS", 7 * 86_400),
    uploadMarginSeconds: number(env, "UPLOAD_MARGIN_SECONDS", 86_400),
    syncDeadlineMs: number(env, "SYNC_DEADLINE_MS", 10_000),
    syncBackoffMs: number(env, "SYNC_BACKOFF_MS", 500),
    deliveryDeadlineMs: number(env, "DELIVERY_DEADLINE_MS", 60_000),
    retryDelaySeconds: number(env, "RETRY_DELAY_SECONDS", 15),
    stagedStaleSeconds: number(env, "STAGED_STALE_SECONDS", 3_600),
    removeOrphansAfterHours: readOrphansAge(env),
  };
}

/** Read apart from the rest, so that a misconfigured Worker still answers a page with an error that it can read. */
export function readAllowedOrigins(env: Env): string[] {
  return words(env.ALLOWED_ORIGINS).map(toOrigin);
}

/** As a browser writes it: an address bar's text has a slash at its end, and names may have capitals. */
function toOrigin(text: string): string {
  return /^https?:\/\/[^/]+\/?$/i.test(text) && URL.canParse(text) ? new URL(text).origin : text;
}

const SERVICE = /\/((rest|storage|auth|functions|graphql)\/v1|storage\/v1\/s3)$/;

/** Without what people copy along, as the package takes it off: slashes at its end, and the path of one of its services. */
function readProjectUrl(env: Env, name: "SUPABASE_URL" | "SUPABASE_PUBLIC_URL"): string {
  const trimmed = (text: string) => text.replace(/\/+$/, "");
  const url = trimmed(trimmed(required(env, name)).replace(SERVICE, ""));
  if (/\/\/([^/]*\.)?supabase\.com([/:]|$)|\.[^./]+\.supabase\.co([/:]|$)/i.test(url))
    throw misconfigured(`${name} is an address of Supabase, but not the project's own, https://<ref>.supabase.co`);
  // Most of it is asked without the package, which would say what is wrong with it, and refuses the same.
  if (/^https?:\/\/(?![/:])[!-~]+$/i.test(url) && !/[?#@\\<>"`^{|}]/.test(url)) return url;
  throw misconfigured(`${name} is no http(s) URL of a project: set it to one, such as https://abcd.supabase.co`);
}

/** Auth names itself by the address that it was told, for which Supabase's own settings have both forms. */
function readIssuers({ SUPABASE_JWT_ISSUER: text = "" }: Env, urls: string[]): string[] {
  const issuer = text.trim();
  return issuer === "" ? urls.flatMap((url) => [`${url}/auth/v1`, url]) : [issuer];
}

function words(text = ""): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

function readBasePath({ BASE_PATH: text = "" }: Env): string {
  const path = text.trim().replace(/\/+$/, "");
  if (path !== "" && !/^(\/[\w.~-]+)+$/.test(path)) throw misconfigured("BASE_PATH is no path");
  return path;
}

/** What a week old outbox may still bring the row of is no orphan. */
const LEAST_ORPHANS_HOURS = 168;

function readOrphansAge(env: Env): number | undefined {
  const hours = number(env, "REMOVE_ORPHANS_AFTER_HOURS", 0);
  if (hours === 0) return undefined;
  if (hours < LEAST_ORPHANS_HOURS) throw misconfigured(`REMOVE_ORPHANS_AFTER_HOURS is below ${LEAST_ORPHANS_HOURS}`);
  return hours;
}

function required(env: Env, name: keyof Env): string {
  const value = env[name]?.trim();
  if (!value) throw misconfigured(`${name} is not set`);
  return value;
}

function number(env: Env, name: keyof Env, fallback: number): number {
  const text = env[name]?.trim();
  if (!text) return fallback;
  if (!/^\d{1,15}$/.test(text)) throw misconfigured(`${name} is not a whole number`);
  return Number(text);
}

function misconfigured(reason: string): Problem {
  return new Problem("misconfigured", { cause: new Error(reason) });
}
