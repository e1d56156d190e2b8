// supabase-js's session where a page and its service worker can both read and refresh it: an IndexedDB of its own, and
// one lock for both.
import { createClient, navigatorLock } from "/supabase.js";

const STORE = "session";

function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("session", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inStore(mode, work) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    opened.close();
  }
}

const storage = {
  getItem: async (key) => (await inStore("readonly", (store) => store.get(key))) ?? null,
  setItem: (key, value) => inStore("readwrite", (store) => store.put(value, key)),
  removeItem: (key) => inStore("readwrite", (store) => store.delete(key)),
};

/** A client whose session outlives the page. */
export function openSession({ url, apiKey }) {
  const auth = {
    storage,
    lock: navigatorLock,
    persistSession: true,
    autoRefreshToken: false,
    detectSessionInUrl: false,
  };
  return createClient(url, apiKey, { auth });
}

/** The user's JWT, renewed when it is about to expire. */
export async function accessTokenOf(client) {
  const { data, error } = await client.auth.getSession();
  if (error) throw error;
  if (!data.session) throw new Error("nobody is signed in");
  return data.session.access_token;
}
