// Background Sync as the browser fires it, by its protocol.
import { until } from "./until.mjs";

/**
 * Fires Background Sync at the service worker of `origin`, whether a page is open or not.
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} origin
 */
export async function dispatchSync(context, origin) {
  const page = await context.newPage(); // on no origin at all
  try {
    const session = await context.newCDPSession(page);
    const active = new Map();
    const registrations = new Map();
    session.on("ServiceWorker.workerRegistrationUpdated", (event) => {
      for (const registration of event.registrations) registrations.set(registration.registrationId, registration);
    });
    session.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
      for (const { registrationId, status } of versions) active.set(registrationId, status === "activated");
    });
    await session.send("ServiceWorker.enable");
    const { registrationId } = await until(
      () =>
        [...registrations.values()].find((one) => one.scopeURL.startsWith(origin) && active.get(one.registrationId)),
      "an active service worker",
    );
    const tag = "imagen-cloud-outbox";
    await session.send("ServiceWorker.dispatchSyncEvent", { origin, registrationId, tag, lastChance: false });
  } finally {
    await page.close();
  }
}

/** Ends all service workers, as the browser does with those that have nothing to do. */
export async function stopWorkers(context) {
  const page = await context.newPage();
  try {
    const session = await context.newCDPSession(page);
    await session.send("ServiceWorker.enable");
    await session.send("ServiceWorker.stopAllWorkers");
  } finally {
    await page.close();
  }
}
