// Databases of outboxes as earlier versions wrote them, put into a browser.
import { readFile } from "node:fs/promises";
import { signJwt } from "../../../supabase/keys.mjs";
import { databaseOf } from "../../support/outbox.mjs";

/**
 * What `make.mjs` wrote.
 * @returns {Promise<{ user: string, version: number, jobs: { seq: number, id: string, storagePath: string, size: number,
 *   text: string }[], images: Record<string, string>, settings: Record<string, unknown> }>} images in base64
 */
export const readKept = async (name) => JSON.parse(await readFile(new URL(`${name}.json`, import.meta.url), "utf8"));

/** Makes the user of a kept database known to a Supabase, and signs them in. */
export async function signInKept(supabase, { user: id }) {
  await supabase.sql(
    "insert into auth.users (id, email, aud, role) values ($1, $2, 'authenticated', 'authenticated')",
    [id, `${id}@example.com`],
  );
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const claims = { sub: id, aud: "authenticated", role: "authenticated", exp };
  return { id, accessToken: signJwt(claims, supabase.jwtSecret) };
}

/** Makes the database in a tab in which no outbox is open. */
export const putIntoIndexedDb = (tab, kept) =>
  tab.page.evaluate(
    async ([name, { version, jobs, images, settings }]) => {
      const opening = indexedDB.open(name, version);
      opening.onupgradeneeded = () => {
        const database = opening.result;
        const store = database.createObjectStore("jobs", { keyPath: "seq", autoIncrement: true });
        store.createIndex("id", "id", { unique: true });
        store.createIndex("storagePath", "storagePath");
        for (const job of jobs) store.add(job);
        const pictures = database.createObjectStore("images");
        for (const [id, image] of Object.entries(images)) {
          pictures.add(Uint8Array.from(atob(image), (letter) => letter.charCodeAt(0)).buffer, id);
        }
        const values = database.createObjectStore("settings");
        for (const [key, value] of Object.entries(settings)) values.add(value, key);
      };
      (await window.kit.settled(opening)).close();
    },
    [databaseOf({ id: kept.user }), kept],
  );
