import { createClient } from "@supabase/supabase-js";
import { type IDBPObjectStore, openDB } from "idb";

const { VITE_SUPABASE_URL: url, VITE_SUPABASE_KEY: apiKey } = import.meta.env;

// In IndexedDB, where the service worker finds it too.
const database = openDB("session", 1, { upgrade: (created) => void created.createObjectStore("session") });
/** Commits at once: else Safari keeps a transaction open whose page is left just then, and nobody can sign in or out meanwhile. */
async function inStore<T>(work: (store: IDBPObjectStore<unknown, ["session"], "session", "readwrite">) => Promise<T>) {
  const transaction = (await database).transaction("session", "readwrite");
  return (await Promise.all([work(transaction.store), transaction.done, transaction.commit()]))[0];
}
const storage = {
  getItem: async (key: string): Promise<string | null> => (await inStore((store) => store.get(key))) ?? null,
  setItem: async (key: string, value: string) => void (await inStore((store) => store.put(value, key))),
  removeItem: (key: string) => inStore((store) => store.delete(key)),
};
export const client = createClient(url, apiKey, { auth: { storage, storageKey: "session" } });

async function accessToken(): Promise<string> {
  const { data } = await client.auth.getSession(); // renews a token that is about to expire
  if (!data.session) throw new Error("nobody is signed in, or there is no connection");
  return data.session.access_token;
}

export const sinkOptionsOf = (ownerUserId: string) => ({ url, apiKey, accessToken, ownerUserId });

/** Of whoever is signed in, also while there is no connection. */
export async function sinkOptions() {
  const stored = await storage.getItem("session");
  if (!stored) throw new Error("sign in first");
  return sinkOptionsOf(JSON.parse(stored).user.id);
}
