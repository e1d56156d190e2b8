import { app } from "./app";
import { deliverBatch, tidyUp } from "./delivery";
import type { Bindings } from "./settings";
import { warmUp } from "./warm";

void warmUp();

export default {
  fetch: app.fetch,
  queue: deliverBatch,
  scheduled: (_event, env) => tidyUp(env),
} satisfies ExportedHandler<Bindings>;
