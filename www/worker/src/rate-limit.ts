import type { User } from "./auth";
import { Problem } from "./problem";
import type { Bindings } from "./settings";

/** The longer of the periods that the platform knows would be 60. It is set in wrangler.jsonc and can't be asked for. */
const PERIOD_SECONDS = 10;

/** Counts a request of the user, and refuses it when there were too many lately. */
export async function limitRate(user: User, env: Bindings): Promise<void> {
  const { success } = (await env.USER_LIMIT?.limit({ key: user.id })) ?? { success: true };
  if (!success) throw new Problem("rate_limited", { retryAfterSeconds: PERIOD_SECONDS });
}
