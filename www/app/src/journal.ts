import { type DBSchema, type IDBPDatabase, type IDBPObjectStore, openDB } from "idb";
import type { RequestEvent } from "imagen-cloud/outbox";
import { whileShown } from "./shown";
import type { Route } from "./transport";

/** One request for a picture, or several in a row that came to the same. */
export interface Note {
  route: Route;
  stage: string;
  method: string;
  /** The answer's, if there was an answer. */
  status?: number;
  /** Why there was none. */
  code?: string;
  /** What the browser said of its connection then. */
  isOnline: boolean;
  times: number;
  /** When the first of them began and the last one ended, in ms since 1970. */
  begunAt: number;
  endedAt: number;
}

/** What the requests for one picture came to. */
export interface History {
  /** The image's id. */
  id: string;
  owner: string;
  /** When it was put into the outbox, or first sent; in ms since 1970. */
  begunAt: number;
  /** What the browser said of its connection then. */
  wasOnline: boolean;
  notes: readonly Note[];
}

interface Schema extends DBSchema {
  pictures: { key: string; value: History; indexes: { owner: string; begunAt: number } };
}

type Database = IDBPDatabase<Schema>;
type Pictures<Mode extends IDBTransactionMode> = IDBPObjectStore<Schema, ["pictures"], "pictures", Mode>;

const NAME = "imagen-cloud-journal";
/** How long a picture's history is kept, in ms. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** What is told of requests that bring a picture to its place. */
const STAGES = ["upload", "insert"];

/**
 * What became of each request for a user's pictures, for some hours: a page's or its service worker's, whoever sends, and
 * told to all pages. It holds ids, times and HTTP's words: no prompt, no path, no key, no URL.
 */
export class Journal {
  readonly #channel = new BroadcastChannel(NAME);
  readonly #database = open();
  #onChange: (histories: History[]) => void = () => {};

  constructor(readonly owner: string) {
    // A browser that keeps nothing has no journal, and all else works.
    this.#database.catch(() => {});
    this.#channel.addEventListener("message", ({ data }: MessageEvent<string>) => this.#tell(data));
  }

  /** Calls back with all that is known, and with each history that has changed. */
  async read(onChange: (histories: History[]) => void): Promise<void> {
    this.#onChange = onChange;
    const database = await this.#database.catch(() => undefined);
    if (!database) return;
    const found = await inStore(database, "readonly", (store) => store.index("owner").getAll(this.owner));
    if (this.#onChange === onChange) onChange(found);
  }

  /** A picture is about to be put into the outbox. */
  begin(id: string): Promise<void> {
    return this.#change(id, Date.now(), (history) => history);
  }

  /** A sink or a relay has told of a request. */
  note(route: Route, event: RequestEvent): void {
    if (event.type !== "request" || !STAGES.includes(event.stage)) return;
    const { stage, method, status, code, ms, imageIds } = event;
    const endedAt = Date.now();
    const isOnline = navigator.onLine;
    const times = { times: 1, begunAt: endedAt - ms, endedAt };
    const note: Note = {
      ...{ route, stage, method, isOnline, ...times },
      ...(status !== undefined && { status }),
      ...(code !== undefined && { code }),
    };
    for (const id of imageIds) this.#change(id, note.begunAt, (history) => withNote(history, note));
  }

  /** Forgets the pictures of the user who leaves, but for those that still wait. */
  async forget(waiting: ReadonlySet<string>): Promise<void> {
    await inStore(await this.#database, "readwrite", async (store) => {
      const ids = await store.index("owner").getAllKeys(this.owner);
      await Promise.all(ids.filter((id) => !waiting.has(id)).map((id) => store.delete(id)));
    });
  }

  /** Hears of nothing any more; what was noted is still written. */
  close(): void {
    this.#onChange = () => {};
    this.#channel.close();
  }

  /** `begunAt` is when it began, if nothing was known of it before. */
  async #change(id: string, begunAt: number, change: (history: History) => History): Promise<void> {
    const begin = { id, owner: this.owner, begunAt, wasOnline: navigator.onLine, notes: [] };
    try {
      await inStore(await this.#database, "readwrite", async (store) => {
        await store.put(change((await store.get(id)) ?? begin));
      });
      await this.#tell(id);
      this.#channel.postMessage(id);
    } catch {
      // It was to be told, and no more: closed meanwhile, or there is no room.
    }
  }

  async #tell(id: string): Promise<void> {
    const history = await inStore(await this.#database, "readonly", (store) => store.get(id));
    if (history?.owner === this.owner) this.#onChange([history]);
  }
}

async function open(): Promise<Database> {
  const database = await openDB<Schema>(NAME, 1, {
    upgrade(fresh) {
      const store = fresh.createObjectStore("pictures", { keyPath: "id" });
      store.createIndex("owner", "owner");
      store.createIndex("begunAt", "begunAt");
    },
  });
  await inStore(database, "readwrite", async (store) => {
    const old = await store.index("begunAt").getAllKeys(IDBKeyRange.upperBound(Date.now() - KEPT_MS));
    await Promise.all(old.map((id) => store.delete(id)));
  });
  return database;
}

/** What `work` makes of a transaction; what it writes is written then. */
function inStore<Mode extends IDBTransactionMode, R>(
  database: Database,
  mode: Mode,
  work: (store: Pictures<Mode>) => Promise<R>,
): Promise<R> {
  return whileShown(
    () => database.transaction("pictures", mode),
    async ({ store, done }) => (await Promise.all([work(store), done]))[0],
  );
}

/** One that comes to the same as the one before is counted with it: a picture may wait for hours. */
function withNote(history: History, note: Note): History {
  const last = history.notes.at(-1);
  const isSame = (name: keyof Note) => last?.[name] === note[name];
  const isRepeated = (["route", "stage", "method", "status", "code", "isOnline"] as const).every(isSame);
  if (!last || !isRepeated) return { ...history, notes: [...history.notes, note] };
  const both = { ...note, times: last.times + note.times, begunAt: last.begunAt };
  return { ...history, notes: [...history.notes.slice(0, -1), both] };
}
