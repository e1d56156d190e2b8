import { app } from "./app";
import { deliverBatch, requeueStale } from "./delivery";
import type { Bindings } from "./settings";

export default {
  fetch: app.fetch,
  queue: deliverBatch,
  scheduled: (_event, env) => requeueStale(env),
} satisfies ExportedHandler<Bindings>;
