import type { OutboxJob } from "imagen-cloud/outbox";
import { adviceFor } from "./advice";
import { megabytes } from "./name";
import { duration } from "./tries";

/** How things stand around a job. */
export interface Situation {
  online: boolean;
  paused: boolean;
  /** Milliseconds since 1970. */
  now: number;
  /** When the server was heard of last, in ms since 1970. */
  since: number;
  /** Bytes sent, once some have been. */
  sent?: number;
}

/** How long a server may be silent before that is said, in ms. */
const SILENCE_MS = 5000;

/** A job as people are told of it. */
export interface Told {
  look: "waiting" | "sending" | "safe" | "failed";
  state: string;
  /** What went wrong, and what to do. */
  hint?: string;
  /** The server's own words. */
  detail?: string;
  /** 0 to 1; missing where it isn't known, or nothing is on its way. */
  fraction?: number;
  canRetry: boolean;
  /** The server is silent: another way may have an answer. */
  isSilent?: true;
}

export function tell(job: OutboxJob, { online, paused, now, since, sent }: Situation): Told {
  const { title, hint, detail } = job.error ? adviceFor(job.error) : {};
  if (job.state === "failed") {
    return { look: "failed", state: title ?? "It wasn't taken", canRetry: true, ...present({ hint, detail }) };
  }
  if (job.state === "handed-over") {
    const hint = "Supabase is down. It goes on by itself from there.";
    return { look: "safe", state: "Safe with the Worker", hint, canRetry: online && job.notBefore > now };
  }
  if (paused) return { look: "waiting", state: `Paused, ${megabytes(job.size)}`, canRetry: false };
  if (!online) return { look: "waiting", state: "Waits for a connection", canRetry: false };
  const fraction = sent === undefined ? undefined : Math.min(1, sent / Math.max(1, job.size));
  const silence = now - since;
  if (silence >= SILENCE_MS && (job.state === "uploading" || job.state === "uploaded")) {
    const state = `No answer yet, ${duration(silence)}. It's kept here.`;
    return { look: "sending", state, canRetry: false, isSilent: true, ...present({ fraction }) };
  }
  if (job.state === "uploading") {
    const percent = fraction === undefined ? "" : `, ${Math.floor(fraction * 100)} %`;
    return { look: "sending", state: `Uploading${percent}`, canRetry: false, ...present({ fraction }) };
  }
  const wait = job.notBefore - now;
  if (job.error && wait > 0) {
    // The server said when it may be asked again.
    const canRetry = !job.waitAsked;
    return {
      look: "waiting",
      state: `Tries again in ${duration(wait)}`,
      canRetry,
      ...present({ hint: title, detail }),
    };
  }
  if (job.state === "uploaded") return { look: "sending", state: "Uploaded, saving its details", canRetry: false };
  return { look: "waiting", state: "Waits its turn", canRetry: false };
}

/** Without the fields that are undefined. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
