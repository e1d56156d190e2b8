import type { Env } from "../settings";

/** The Worker's bindings, as wrangler hands them over: the settings, and the platform's services. */
export interface Bindings extends Env {
  /** Where images lie while Supabase is down. Without it and the queue they are refused meanwhile. */
  STAGED?: R2Bucket;
  /** Takes staged images to Supabase later. */
  DELIVERIES?: Queue<unknown>;
  /** Counts a user's requests. Left out, nobody counts. */
  USER_LIMIT?: RateLimit;
}
