import { isImagenCloudError } from "imagen-cloud";
import { Problem } from "./problem";
import type { Bindings } from "./settings";

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

/** One line of JSON a request. It holds no key, token, signed URL, prompt or byte of an image. */
export function logOutcome(outcome: Outcome, env: Bindings): void {
  const { problem, ...rest } = outcome;
  const line = { level: levelOf(outcome.status), ...rest, code: problem?.code, cause: causeOf(problem?.cause) };
  write(line, env);
}

/** What happened to a staged image, or by the clock. */
export interface StagedEvent {
  event: "staged" | "delivered" | "delayed" | "gone" | "buried" | "requeued" | "cleared" | "not_cleared";
  imageId?: string;
  /** How often the queue has come with it. */
  attempts?: number;
  /** How many images, or uploads. */
  count?: number;
  cause?: unknown;
}

/** One line of JSON, under the same rules. */
export function logStaged({ cause, ...rest }: StagedEvent, env: Bindings): void {
  const level = rest.event === "buried" ? "error" : cause === undefined ? "info" : "warn";
  write({ level, ...rest, cause: causeOf(cause) }, env);
}

function write(line: object, env: Bindings): void {
  console.log(redact(JSON.stringify(line), env));
}

function levelOf(status: number): "info" | "warn" | "error" {
  if (status < 400) return "info";
  return status < 500 ? "warn" : "error";
}

/** What is kept of an error: its texts are cut where they came from, and hold no key. */
export function causeOf(cause: unknown): object | undefined {
  if (isImagenCloudError(cause)) {
    const { stage, code, status, serverCode, attempts, message } = cause;
    return { stage, code, status, serverCode, attempts, message };
  }
  if (cause instanceof Problem) return { code: cause.code, detail: cause.detail, cause: causeOf(cause.cause) };
  if (cause instanceof Error) return { name: cause.name, message: cause.message };
  return cause === undefined ? undefined : { message: typeof cause };
}

/** Texts of servers and runtimes are not ours: should one quote a secret or a token, it stops here. */
export function redact(line: string, env: Bindings): string {
  let clean = line.replace(/eyJ[\w-]*\.[\w-]*\.?[\w-]*/g, "[token]");
  for (const secret of [env.SUPABASE_SERVICE_KEY, env.SUPABASE_JWT_SECRET]) {
    if (secret) clean = clean.replaceAll(secret, "[secret]");
  }
  return clean;
}
