import { type InstallPrompt, state } from "./state";

/** How long a browser may take to look after its service worker before the page goes on without, in ms. */
const PATIENCE_MS = 3000;

/** What makes the page open offline, and send when it is closed; `undefined` where the browser has no such thing. */
export async function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined;
  const registered = navigator.serviceWorker.register("/sw.js", { type: "module" }).catch(() => undefined);
  return Promise.race([registered, new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS))]);
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
