// A second copy of every job as it was accepted, in Cache Storage. A browser that is killed while it writes can leave its
// IndexedDB damaged, and Chromium then deletes it whole (google/leveldb#1287 is one way there). The caches are other files.
//
// A copy comes after its job and goes before it, so a copy without a job is one whose job was lost.
import { within } from "./within.js";

/** In which a copy says how many bytes of it are its record's JSON; the image's follow. */
const RECORD_BYTES = "x-record-bytes";
/** What is before an id in a copy's URL, which nobody ever fetches. */
const FOLDER = "/imagen-cloud-outbox/";
/** How long an answer is waited for. */
const PATIENCE_MS = 5000;

export class Copies {
  #name;
  #isStuck = false;

  /** @param {string} name of the outbox's database */
  constructor(name) {
    this.#name = name;
  }

  /**
   * Makes a copy ready while its job is stored, and keeps it when that is done. Only the cache is opened before: a copy is not
   * there before its job.
   * @param {import("./records.js").JobRecord} record @param {ArrayBuffer} image
   * @returns {() => Promise<void>} keeps it
   */
  ready(record, image) {
    const making = this.#attempt(async () => {
      const opening = caches.open(this.#name);
      const text = new TextEncoder().encode(JSON.stringify(record));
      const copy = new Response(new Blob([text, image]), { headers: { [RECORD_BYTES]: text.length } });
      return { cache: await opening, copy };
    });
    return () =>
      this.#attempt(async () => {
        const { cache, copy } = await making;
        await cache.put(FOLDER + record.id, copy);
      });
  }

  /**
   * Whether the caches have once not answered: what they were told since may be done or not. In Chromium a tab that crashes
   * while it writes into a cache can leave the cache so, for all tabs, until the browser ends.
   */
  get isStuck() {
    return this.#isStuck;
  }

  /** Gives the ids of those that were not there to be forgotten, or perhaps are still: another tab may yet write them. @param {string[]} ids */
  async forget(ids) {
    if (ids.length === 0) return [];
    const forgotten = await this.#attempt(async () => {
      const cache = await caches.open(this.#name);
      return Promise.all(ids.map((id) => cache.delete(FOLDER + id)));
    });
    if (forgotten) return ids.filter((_, at) => !forgotten[at]);
    return this.#isStuck ? ids : []; // where there are no caches, no tab has any
  }

  /** Forgets all of them. Whether some may be there still, or come. */
  async clear() {
    const cleared = await this.#attempt(async () => caches.delete(this.#name));
    return cleared !== undefined || this.#isStuck;
  }

  /** Ids. @returns {Promise<string[]>} */
  async ids() {
    const found = await this.#attempt(async () => {
      if (!(await caches.has(this.#name))) return [];
      const requests = await (await caches.open(this.#name)).keys();
      return requests.map(({ url }) => new URL(url).pathname.slice(FOLDER.length));
    });
    return found ?? [];
  }

  /** @param {string} id @returns {Promise<{ record: import("./records.js").JobRecord, image: ArrayBuffer } | undefined>} */
  read(id) {
    return this.#attempt(async () => {
      const copy = await (await caches.open(this.#name)).match(FOLDER + id);
      if (!copy) return undefined;
      const bytes = await copy.arrayBuffer();
      const start = Number(copy.headers.get(RECORD_BYTES));
      return { record: JSON.parse(new TextDecoder().decode(bytes.slice(0, start))), image: bytes.slice(start) };
    });
  }

  /** Copies are a help and no condition: there may be no room for them, no Cache Storage, or no answer from it. */
  async #attempt(work) {
    const working = work().catch(() => undefined);
    if (this.#isStuck) return undefined;
    return within(PATIENCE_MS, working).catch(() => {
      this.#isStuck = true;
    });
  }
}
