import { createOutbox, createSink, drainInBackground } from "imagen-cloud/outbox";
import { sinkOptions } from "./src/session";

// While the script runs, not later: browsers want a service worker's listeners at once.
drainInBackground(async () => createOutbox(await createSink(await sinkOptions())));
