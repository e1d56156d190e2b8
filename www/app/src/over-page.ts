/** Resolves when the browser has gone back to the page below, as it was asked to. */
let wentBack: Promise<void> = Promise.resolve();

/** Gives what opens over the page an address of its own, so that the browser's Back closes it; unless it is closed already. */
export async function pushAddress(address: string, isStillOpen: () => boolean): Promise<void> {
  await wentBack;
  if (isStillOpen()) history.pushState({ isOverPage: true }, "", address);
}

/** The same for an address that is in the history already, by a link. */
export function markAsPushed(): void {
  history.replaceState({ isOverPage: true }, "");
}

/** Back to the page's own address, after something over it was closed. */
export function popAddress(): void {
  if (history.state?.isOverPage) {
    wentBack = new Promise((resolve) => addEventListener("popstate", () => resolve(), { once: true }));
    history.back();
  } else {
    history.replaceState(null, "", location.pathname);
  }
}
