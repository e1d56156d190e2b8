import { createOutbox, createRelay, createSink, type Outbox, type Relay, type Sink } from "imagen-cloud/outbox";
import type { Config } from "./config";
import type { Journal } from "./journal";
import type { Account, Session } from "./session";
import { sessionStore } from "./session-store";

/** How pictures travel: straight to Supabase, by the user's own rights, or through the Worker, which has the key. */
export type Route = "direct" | "worker";
export type Target = Sink | Relay;

const ROUTE_KEY = "imagen-cloud-route";

/** Twice what a tile is wide, for screens of many pixels. */
const THUMBNAIL = { side: 640 };

/** What was chosen last on this device, for the page and its service worker. */
export async function readRoute(): Promise<Route> {
  return (await sessionStore.getItem(ROUTE_KEY).catch(() => null)) === "worker" ? "worker" : "direct";
}

export async function keepRoute(route: Route): Promise<void> {
  // A browser that keeps nothing forgets it with the page.
  await sessionStore.setItem(ROUTE_KEY, route).catch(() => {});
}

/** As the user, under row-level security. */
export function openSink(config: Config, session: Session, account: Account, journal: Journal): Promise<Sink> {
  return createSink({
    url: config.supabaseUrl,
    apiKey: config.publishableKey,
    accessToken: () => session.accessToken(),
    ownerUserId: account.id,
    pathPrefix: account.id,
    requireImage: true,
    onEvent: (event) => journal.note("direct", event),
    thumbnail: THUMBNAIL,
    initialBackoffMs: 500,
  });
}

export function openRelay(config: Config, session: Session, account: Account, journal: Journal): Promise<Relay> {
  return createRelay({
    url: config.workerUrl || location.origin,
    accessToken: () => session.accessToken(),
    ownerUserId: account.id,
    onEvent: (event) => journal.note("worker", event),
    thumbnail: THUMBNAIL,
    initialBackoffMs: 500,
  });
}

/** The way that is chosen now, with the outbox that sends by it. */
export interface Transport {
  route: Route;
  target: Promise<Target>;
  outbox: Promise<Outbox>;
  close(): Promise<void>;
}

/** `target` lives on for its other users, unless `owned`. What waits in the outbox goes by whichever way is open. */
export function openTransport(
  route: Route,
  target: Promise<Target>,
  owned: boolean,
  worker: Promise<ServiceWorkerRegistration | undefined>,
): Transport {
  const outbox = openOutbox(target, worker);
  // Whoever uses them is told; until then nobody has to hear of it.
  for (const made of [target, outbox]) made.catch(() => {});
  return {
    route,
    target,
    outbox,
    close: async () => {
      await outbox.then((made) => made.close()).catch(() => {});
      if (owned) await target.then((made) => made.free()).catch(() => {});
    },
  };
}

async function openOutbox(target: Promise<Target>, worker: Promise<ServiceWorkerRegistration | undefined>) {
  const serviceWorker = await worker;
  return createOutbox(await target, { ...(serviceWorker && { serviceWorker }) });
}
