// The service worker: keeps the app's own files, so that it opens offline, and sends what is in the outbox when no page
// is open. What Supabase or the Worker answers never enters its cache.
import { createOutbox, drainInBackground } from "imagen-cloud/outbox";
import { CONFIG_PATH, type Config } from "./config";
import { Journal } from "./journal";
import { type Account, Session } from "./session";
import { openRelay, openSink, readRoute } from "./transport";

/** The files of this build, and a name that no other build has; the build appends it to this script. */
declare const SHELL: { version: string; files: string[] };

/** What this script uses of its global: TypeScript has either a page's types or a worker's. */
interface Scope {
  clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: Lasting) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
}
interface Lasting extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Lasting {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** How long a page that is kept waits for a newer one, in ms. */
const PATIENCE_MS = 3000;

const scope = self as unknown as Scope;
const cacheName = () => `imagen-cloud-shell-${SHELL.version}`;

scope.addEventListener("install", (event) => event.waitUntil(keepShell()));
scope.addEventListener("activate", (event) => event.waitUntil(takeOver()));
scope.addEventListener("fetch", (event) => {
  const answer = answerTo(event.request);
  if (answer) event.respondWith(answer);
});

let session: Session | undefined;
let journal: Journal | undefined;

// Asked for at every drain: meanwhile somebody may have chosen another way, or another user may have signed in.
drainInBackground(async () => {
  const config: Config = await (await newestConfig()).json();
  session ??= new Session(config);
  const [account, route] = await Promise.all([session.account(), readRoute()]);
  if (!account) throw new Error("Nobody is signed in.");
  const target = await (route === "worker" ? openRelay : openSink)(config, session, account, journalOf(account));
  return createOutbox(target, { automatic: false });
});

/** One for each user, also over many drains: pages hear by it what became of each request. */
function journalOf({ id }: Account): Journal {
  if (journal?.owner !== id) {
    journal?.close();
    journal = new Journal(id);
  }
  return journal;
}

async function keepShell(): Promise<void> {
  const cache = await caches.open(cacheName());
  // Past the HTTP cache, which may hold an older build's.
  await cache.addAll([CONFIG_PATH, ...SHELL.files].map((file) => new Request(file, { cache: "no-cache" })));
}

/** Only now no page uses an older build's files any more. */
async function takeOver(): Promise<void> {
  const old = (await caches.keys()).filter((name) => name.startsWith("imagen-cloud-shell-") && name !== cacheName());
  await Promise.all(old.map((name) => caches.delete(name)));
  await scope.clients.claim();
}

/** The answer to what belongs to the app itself; everything else is the network's. */
function answerTo(request: Request): Promise<Response> | undefined {
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return undefined;
  if (pathname === CONFIG_PATH) return newestConfig();
  // A newer page brings files with other names: it must not be kept beside the older ones.
  if (request.mode === "navigate" && pathname === "/") return newest(request, "/");
  if (pathname.startsWith("/assets/") || SHELL.files.includes(pathname)) return kept(pathname, request);
  return undefined;
}

async function newestConfig(): Promise<Response> {
  return newest(new Request(CONFIG_PATH), CONFIG_PATH, async (answer) => {
    // Many hosts answer with their page what they don't find: that is not to take its place.
    await answer.clone().json();
    await (await caches.open(cacheName())).put(CONFIG_PATH, answer);
  });
}

/** What the network has, unless it is slow, fails, or has nothing that can be kept: then what is kept. */
async function newest(request: Request, key: string, keep?: (answer: Response) => Promise<void>): Promise<Response> {
  const old = await (await caches.open(cacheName())).match(key);
  const coming = fetch(request).then(async (answer) => {
    if (answer.ok) await keep?.(answer.clone());
    return answer;
  });
  if (!old) return coming;
  const late = new Promise<Response>((resolve) => setTimeout(resolve, PATIENCE_MS, old));
  const usable = coming.then(
    (answer) => (answer.ok ? answer : old),
    () => old,
  );
  return Promise.race([usable, late]);
}

/** Names under assets/ hold a hash of their content: what is kept is right. */
async function kept(path: string, request: Request): Promise<Response> {
  const cache = await caches.open(cacheName());
  const old = await cache.match(path);
  if (old) return old;
  const answer = await fetch(request);
  if (answer.ok && path.startsWith("/assets/")) await cache.put(path, answer.clone());
  return answer;
}
