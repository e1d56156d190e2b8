import { createOutbox, createSink, type Outbox, type Sink, type SinkOptions } from "imagen-cloud";
import type { Config } from "./config";
import type { Account, Session } from "./session";

/** Straight to Supabase, as the user and under row-level security. */
export interface Direct {
  sink: Promise<Sink>;
  outbox: Promise<Outbox>;
  close(): Promise<void>;
}

/** The same for the page and its service worker. */
export function sinkOptions(config: Config, session: Session, account: Account): SinkOptions {
  return {
    url: config.supabaseUrl,
    apiKey: config.publishableKey,
    accessToken: () => session.accessToken(),
    ownerUserId: account.id,
    pathPrefix: account.id,
    requireImage: true,
    initialBackoffMs: 500,
  };
}

export function openDirect(
  config: Config,
  session: Session,
  account: Account,
  worker: Promise<ServiceWorkerRegistration | undefined>,
): Direct {
  const sink = createSink(sinkOptions(config, session, account));
  const outbox = openOutbox(sink, worker);
  // Whoever uses them is told; until then nobody has to hear of it.
  for (const made of [sink, outbox]) made.catch(() => {});
  return {
    sink,
    outbox,
    close: async () => {
      await outbox.then((made) => made.close()).catch(() => {});
      await sink.then((made) => made.free()).catch(() => {});
    },
  };
}

async function openOutbox(sink: Promise<Sink>, worker: Promise<ServiceWorkerRegistration | undefined>) {
  const serviceWorker = await worker;
  return createOutbox(await sink, { ...(serviceWorker && { serviceWorker }) });
}
