// What is asked of Supabase without the package is tried again too.
import { Problem } from "./problem";
import type { Settings } from "./settings";
import { wait } from "./timer";

/** Tries again what failed by trouble that may pass; all that is asked here may be asked twice. */
export async function untilAnswered<T>(settings: Settings, once: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once();
    } catch (cause) {
      if (cause instanceof Problem && cause.code !== "unavailable") throw cause;
      if (attempt === 2) throw new Problem("unavailable", { cause });
      await wait(settings.syncBackoffMs * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}
