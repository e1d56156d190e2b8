import { isImagenCloudError } from "imagen-cloud";
import { Problem } from "./problem";
import { clean } from "./redact";
import type { Env } from "./settings";

/** What a request came to. */
export interface Outcome {
  requestId: string;
  method: string;
  /** The route, such as `/api/sync`; never the query, which holds paths. */
  route: string;
  status: number;
  durationMs: number;
  userId: string | undefined;
  problem: Problem | undefined;
}

/** Characters of a method, which may be any word: the longest known one has as many. */
const LONGEST_METHOD = 16;

/** One line of JSON a request, of a few kB at most. It holds no key, token, signed URL, prompt or byte of an image. */
export function logOutcome(outcome: Outcome, env: Env): void {
  const { problem, ...rest } = { ...outcome, method: outcome.method.slice(0, LONGEST_METHOD) };
  write({ level: levelOf(outcome.status), ...rest, code: problem?.code, cause: causeOf(problem?.cause, env) });
}

/** What happened to a staged image, or by the clock. */
export interface StagedEvent {
  event:
    | "staged"
    | "delivered"
    | "delayed"
    | "gone"
    | "buried"
    | "requeued"
    | "not_requeued"
    | "forgotten"
    | "not_forgotten"
    | "keys_not_kept"
    | "cleared"
    | "not_cleared"
    | "orphans_removed"
    | "orphans_not_removed";
  imageId?: string;
  /** How often the queue has come with it. */
  attempts?: number;
  /** How many images, or uploads. */
  count?: number;
  cause?: unknown;
}

/** One line of JSON, under the same rules. */
export function logStaged({ cause, ...rest }: StagedEvent, env: Env): void {
  const level = rest.event === "buried" ? "error" : cause === undefined ? "info" : "warn";
  write({ level, ...rest, cause: causeOf(cause, env) });
}

function write(line: object): void {
  console.log(JSON.stringify(line));
}

function levelOf(status: number): "info" | "warn" | "error" {
  if (status < 400) return "info";
  return status < 500 ? "warn" : "error";
}

/** How many causes of causes are told. */
const DEPTH = 3;

/** SQLSTATEs whose messages quote values, a prompt for example: data exceptions, and what a trigger raises. */
const QUOTES_VALUES = /^(22...|P0001)$/;

/** What is kept of an error. Its texts are not ours: each is cut, and holds no key or token. */
export function causeOf(cause: unknown, env: Env, depth = DEPTH): object | undefined {
  if (cause === undefined || depth === 0) return undefined;
  if (isImagenCloudError(cause)) {
    const { stage, code, status, attempts } = cause;
    const serverCode = cause.serverCode && clean(cause.serverCode, env);
    if (QUOTES_VALUES.test(serverCode ?? "")) return { stage, code, status, serverCode, attempts };
    return { stage, code, status, serverCode, attempts, message: clean(cause.message, env) };
  }
  if (cause instanceof Problem) {
    return { code: cause.code, detail: clean(cause.detail, env), cause: causeOf(cause.cause, env, depth - 1) };
  }
  if (cause instanceof Error) return { name: clean(cause.name, env), message: clean(cause.message, env) };
  return { message: typeof cause };
}
