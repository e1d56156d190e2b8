/** supabase-js's session, where the page and its service worker can both read and renew it. */
const DATABASE = "imagen-cloud-session";
const STORE = "session";

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
      // It ends without this page then, which WebKit may stop just now: it would keep all others out for as long as it lies in the
      // back/forward cache. To abort it, as the journal does, would lose a token that was renewed.
      transaction.commit();
    });
  } finally {
    database.close();
  }
}

const read = (key: string) => inStore<string | undefined>("readonly", (store) => store.get(key));

/**
 * What could not be written, where there is no room any more: a token that was renewed, say, and the one before is not good twice.
 * This page goes on with it, and makes room by what it sends; `over` is what it would have taken the place of.
 */
const unwritten = new Map<string, { value: string; over: string | undefined }>();

/** What supabase-js takes as its `storage`. */
export const sessionStore = {
  getItem: async (key: string): Promise<string | null> => {
    const written = await read(key);
    const newer = unwritten.get(key);
    // Another page may have found room, or another user.
    return (newer && newer.over === written ? newer.value : written) ?? null;
  },
  setItem: async (key: string, value: string): Promise<void> => {
    try {
      await inStore("readwrite", (store) => store.put(value, key));
      unwritten.delete(key);
    } catch (error) {
      if ((error as DOMException | null)?.name !== "QuotaExceededError") throw error;
      unwritten.set(key, { value, over: await read(key) });
    }
  },
  removeItem: async (key: string): Promise<void> => {
    unwritten.delete(key);
    await inStore("readwrite", (store) => store.delete(key));
  },
};
