import { byId, show } from "./dom";

/** How long a browser may take to look after its service worker before the page goes on without, in ms. */
const PATIENCE_MS = 3000;

/** What makes the page open offline, and send when it is closed; `undefined` where the browser has no such thing. */
export async function registerWorker(): Promise<ServiceWorkerRegistration | undefined> {
  if (!("serviceWorker" in navigator)) return undefined;
  const registered = navigator.serviceWorker.register("/sw.js", { type: "module" }).catch(() => undefined);
  return Promise.race([registered, new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** What Chromium tells of a page that can be installed. */
interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

/** A button, while the browser offers to install the app. */
export function offerInstall(): void {
  let offer: InstallPrompt | undefined;
  addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault();
    offer = event as InstallPrompt;
    show("install", true);
  });
  addEventListener("appinstalled", () => show("install", false));
  byId("install").addEventListener("click", () => {
    show("install", false);
    offer?.prompt();
  });
}
