// A page that is left may lie in the browser's back/forward cache, and be shown again as it was. WebKit stops it there in the midst
// of its transactions, and these keep all other pages out of their stores for as long as it lies there.

/** How long it is waited for to be shown again, where the browser does not say so, in ms: in the cache no timer runs. */
const PATIENCE_MS = 1000;

interface Transaction {
  abort(): void;
}

const underWay = new Set<Transaction>();
let shown: Promise<unknown> = Promise.resolve();

if ("document" in globalThis) {
  addEventListener("pagehide", ({ persisted }) => {
    if (!persisted) return;
    shown = new Promise((resolve) => {
      addEventListener("pageshow", resolve, { once: true });
      setTimeout(resolve, PATIENCE_MS);
    });
    for (const transaction of underWay) end(transaction);
  });
}

/** What `work` makes of a transaction, which ends when the page is left, and begins anew when it is shown again. */
export async function whileShown<T extends Transaction, R>(
  begin: () => T,
  work: (transaction: T) => Promise<R>,
): Promise<R> {
  for (;;) {
    await shown;
    const transaction = begin();
    const before = shown;
    underWay.add(transaction);
    try {
      return await work(transaction);
    } catch (error) {
      if (shown === before) throw error;
    } finally {
      underWay.delete(transaction);
    }
  }
}

function end(transaction: Transaction): void {
  try {
    transaction.abort();
  } catch {
    // It is over, or commits.
  }
}
