import { type InstallPrompt, state } from "./state";

/** How long a browser may take to look after its service worker before the page goes on without, in ms. */
const PATIENCE_MS = 3000;

/** What makes the page open offline, and send when it is closed; `undefined` where the browser has no such thing. */
export async function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined;
  const registered = navigator.serviceWorker.register("/sw.js", { type: "module" }).catch(() => undefined);
  return Promise.race([registered, new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** Tells of a newer build on the server than this page's. */
export async function watchForNewVersion(worker: Promise<ServiceWorkerRegistration | undefined>): Promise<void> {
  const registration = await worker;
  if (!registration) return;
  const watch = (found: ServiceWorker | null) =>
    found?.addEventListener("statechange", async () => {
      if (found.state === "installed" && (await isOutdated())) state.isOutdated.value = true;
    });
  watch(registration.installing);
  registration.addEventListener("updatefound", () => watch(registration.installing));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") registration.update().catch(() => {});
  });
}

/** Whether the server's page has another script than this one: names hold a hash of their content. */
async function isOutdated(): Promise<boolean> {
  const own = document.querySelector("script[type=module][src]")?.getAttribute("src");
  // Under this name the service worker keeps none.
  const answer = await fetch("/index.html", { cache: "no-store" }).catch(() => undefined);
  return answer?.ok === true && own != null && !(await answer.text()).includes(own);
}

/** Keeps the browser's offer to install the app. */
export function watchInstallOffer(): void {
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    state.installOffer.value = event as InstallPrompt;
  });
  addEventListener("appinstalled", () => {
    state.installOffer.value = undefined;
  });
}

export function install(): void {
  const offer = state.installOffer.value;
  state.installOffer.value = undefined;
  offer?.prompt();
}
