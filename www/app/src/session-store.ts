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
    });
  } finally {
    database.close();
  }
}

/** What supabase-js takes as its `storage`. */
export const sessionStore = {
  getItem: async (key: string): Promise<string | null> =>
    (await inStore<string | undefined>("readonly", (store) => store.get(key))) ?? null,
  setItem: async (key: string, value: string): Promise<void> => {
    await inStore("readwrite", (store) => store.put(value, key));
  },
  removeItem: async (key: string): Promise<void> => {
    await inStore("readwrite", (store) => store.delete(key));
  },
};
