/** Moves the keyboard to the element of this id, once what has just been changed is drawn. */
export function focusOn(id: string): void {
  // Preact draws in a microtask that was queued by the change.
  queueMicrotask(() => document.getElementById(id)?.focus({ preventScroll: true }));
}

/**
 * Whatever goes away under the keyboard leaves it at the heading of its section, not at the page's begin: where nobody
 * says by {@link focusOn} where it goes on.
 */
export function keepFocus(): void {
  /** What has, or had, the focus, and everything around it, as it was then. */
  let around: Element[] = [];
  addEventListener("focusin", ({ target }) => {
    around = target instanceof Element ? withParents(target) : [];
  });
  addEventListener("focusout", ({ target }) => {
    // A click on the page's ground is the person's own wish.
    queueMicrotask(() => {
      if (target === around[0] && around[0]?.isConnected && isLost()) around = [];
    });
  });
  new MutationObserver(() => {
    if (!isLost() || !around[0] || around[0].isConnected) return;
    const place = around.find((element) => element.isConnected && element.matches("section, article, dialog, main"));
    const heading = place?.querySelector<HTMLElement>("h1[tabindex], h2[tabindex]");
    (heading ?? document.getElementById("main"))?.focus({ preventScroll: true });
  }).observe(document.body, { childList: true, subtree: true });
}

const isLost = () => document.activeElement === null || document.activeElement === document.body;

function withParents(element: Element): Element[] {
  const all: Element[] = [];
  for (let one: Element | null = element; one; one = one.parentElement) all.push(one);
  return all;
}
