import { type Api, createApi } from "../api";
import { warmUp } from "../warm";
import type { Bindings } from "./bindings";
import { deliverBatch, tidyUp } from "./jobs";
import { StagedInR2 } from "./staged";

void warmUp();

/** One for the isolate's life, of the bindings that its first request brings: all bring the same. */
let api: Api | undefined;

function apiOf(env: Bindings): Api {
  const { USER_LIMIT: counter } = env;
  return createApi({
    env,
    staging: StagedInR2.of(env),
    // A counter that fails counts nobody: it must not stop what it protects.
    isOverRate:
      counter && (async ({ id }) => (await counter.limit({ key: id }).catch(() => undefined))?.success === false),
  });
}

export default {
  fetch(request, env, context) {
    api ??= apiOf(env);
    return api(request, context);
  },
  queue: deliverBatch,
  scheduled: (_event, env) => tidyUp(env),
} satisfies ExportedHandler<Bindings>;
