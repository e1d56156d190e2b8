import { createClient } from "@supabase/supabase-js";
import { openDB } from "idb";
import type { SinkOptions } from "imagen-cloud/outbox";

const { VITE_SUPABASE_URL: url, VITE_SUPABASE_KEY: apiKey } = import.meta.env;

// In IndexedDB, where the service worker finds it too.
const storageKey = "session";
const database = openDB(storageKey, 1, { upgrade: (created) => void created.createObjectStore(storageKey) });
const storage = {
  getItem: async (key: string): Promise<string | null> => (await (await database).get(storageKey, key)) ?? null,
  setItem: async (key: string, value: string) => void (await (await database).put(storageKey, value, key)),
  removeItem: async (key: string) => (await database).delete(storageKey, key),
};
export const client = createClient(url, apiKey, { auth: { storage, storageKey } });

async function accessToken(): Promise<string> {
  const { data } = await client.auth.getSession(); // renews a token that is about to expire
  if (!data.session) throw new Error("nobody is signed in, or there is no connection");
  return data.session.access_token;
}

/** Of whoever is signed in, also while there is no connection. */
export async function sinkOptions(): Promise<SinkOptions> {
  const stored = await storage.getItem(storageKey);
  if (!stored) throw new Error("sign in first");
  return { url, apiKey, accessToken, ownerUserId: JSON.parse(stored).user.id };
}
