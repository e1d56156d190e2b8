import type { SyncRequest } from "imagen-cloud/outbox";
import { adviceFor } from "../advice";
import { announce } from "../announce";
import { focusOn } from "../focus";
import { wordsOf } from "../name";
import { canBeEncoded, canShow, MAX_WORDS, problemOfFile, withoutPlace } from "../picture";
import { type BatchFile, state } from "../state";
import type { Transport } from "../transport";
import { toRequest } from "./delivery";
import { readFile } from "./facts";

const { batch, skipped, isBatchBusy, isPlaceLeftOut } = state.stage;

export interface Surroundings {
  /** The way that is chosen now; none while nobody is signed in. */
  way: () => Transport | undefined;
  onEnqueue: (imageId: string) => void;
  onEnqueued: (imageId: string) => void;
  /** Hears of each that went out at once, where the browser keeps no outbox. */
  onArrived: () => void;
}

/** The id of a file's words in the list. */
export const wordsId = (id: string) => `words-${id}`;

/** Several files that were chosen together: each is a picture of its own, all are sent by one press. */
export class Batch {
  /** Hears when no file is left, and why the last one is not. */
  onEmpty: (problem: string) => void = () => {};
  /** Another one for another choice, or another user. */
  #visit = {};
  /** What each says of itself, by its id, is known when this ends: where it was taken, for one. */
  #checked = new Map<string, Promise<void>>();

  constructor(private readonly around: Surroundings) {}

  /** Adds files that can be sent. One that the browser can't show leaves the list again, by name. */
  take(files: readonly File[]): void {
    const isThere = (file: File) => batch.value.some((one) => keyOf(one.file) === keyOf(file));
    const news = files.filter((file) => !isThere(file)).map(toBatchFile);
    batch.value = [...batch.value, ...news];
    announce(`${batch.value.length} pictures are chosen.`);
    // One after another: each is decoded whole.
    const visit = this.#visit;
    let before = Promise.resolve();
    for (const one of news) {
      before = before.then(() => this.#check(visit, one));
      this.#checked.set(one.id, before);
    }
  }

  write(id: string, words: string): void {
    this.#change(id, { words });
  }

  remove(id: string): void {
    const at = batch.value.findIndex((one) => one.id === id);
    const next = batch.value[at + 1] ?? batch.value[at - 1];
    if (next) focusOn(wordsId(next.id));
    this.#take(id, "");
  }

  /** Forgets them all; what was sent goes on. */
  clear(): void {
    this.#visit = {};
    for (const { url } of batch.value) URL.revokeObjectURL(url);
    this.#checked.clear();
    batch.value = [];
    skipped.value = [];
    isBatchBusy.value = false;
    isPlaceLeftOut.value = false;
  }

  /** Sends those that were not sent yet; once all were, a copy of each. */
  async send(): Promise<void> {
    if (isBatchBusy.value) return;
    if (batch.value.every(isSent)) {
      batch.value = batch.value.map((one) => ({ ...one, id: crypto.randomUUID(), state: "chosen" }));
    }
    const visit = this.#visit;
    isBatchBusy.value = true;
    for (const one of batch.value.filter((each) => !isSent(each))) {
      await this.#checked.get(one.id);
      // It may have been taken out of the list meanwhile.
      const now = batch.value.find(({ id }) => id === one.id);
      if (now) await this.#sendOne(now);
      if (visit !== this.#visit) return;
    }
    isBatchBusy.value = false;
    const left = batch.value.filter(({ problem }) => problem).length;
    announce(left === 0 ? "All are on their way." : `${left} could not be sent.`);
  }

  /** Hears of every picture that has come to its place. */
  noteArrival(id: string): void {
    this.#change(id, { state: "arrived" });
  }

  async #sendOne({ id, file, words, hasPlace }: BatchFile): Promise<void> {
    const way = this.around.way();
    if (!way) return;
    this.#change(id, { state: "leaving", problem: undefined });
    const prompt = words.trim() || wordsOf(file);
    try {
      const blob = hasPlace && isPlaceLeftOut.value ? await withoutPlace(file) : file;
      const request = toRequest({ blob, backend: "upload", prompt, seed: 0n }, id);
      const outbox = await way.outbox.catch(() => undefined);
      if (outbox) {
        this.around.onEnqueue(id);
        await outbox.enqueue(request);
        this.around.onEnqueued(id);
        // It may have arrived meanwhile.
        if (batch.value.find((one) => one.id === id)?.state === "leaving") this.#change(id, { state: "kept" });
      } else {
        await this.#atOnce(request, way);
      }
    } catch (error) {
      this.#change(id, { state: "chosen", problem: adviceFor(error).title });
    }
  }

  async #atOnce(request: SyncRequest, way: Transport): Promise<void> {
    const { imageId, queued } = await (await way.target).sync(request);
    this.#change(imageId, { state: queued ? "kept" : "arrived" });
    this.around.onArrived();
  }

  async #check(visit: object, { id, url, file }: BatchFile): Promise<void> {
    if (visit !== this.#visit) return;
    const isShown = await canShow(url);
    if (visit !== this.#visit) return;
    if (isShown) await this.#read(visit, id, file);
    if (isShown || !batch.value.some((one) => one.id === id)) return;
    const problem = `${file.name} isn't a usable image: this browser can't show it. Open it in an editor and save it anew.`;
    skipped.value = [...skipped.value, problem];
    this.#take(id, problem);
  }

  /** A file's own words come in the place of its name. */
  async #read(visit: object, id: string, file: File): Promise<void> {
    const { prompt, place } = await readFile(file);
    const one = batch.value.find((each) => each.id === id);
    if (visit !== this.#visit || one?.state !== "chosen") return;
    const words = prompt && one.words === wordsOf(file) ? prompt.slice(0, MAX_WORDS) : one.words;
    this.#change(id, { words, hasPlace: place !== undefined && canBeEncoded(file.type) });
  }

  #change(id: string, fields: Partial<BatchFile>): void {
    batch.value = batch.value.map((one) => (one.id === id ? { ...one, ...fields } : one));
  }

  #take(id: string, problem: string): void {
    const gone = batch.value.find((one) => one.id === id);
    if (gone) URL.revokeObjectURL(gone.url);
    batch.value = batch.value.filter((one) => one !== gone);
    if (gone && batch.value.length === 0) this.onEmpty(problem);
  }
}

/** Those that can be sent, and why the others can't. */
export function sortFiles(files: readonly File[]): { usable: File[]; problems: string[] } {
  const told = files.map((file) => ({ file, problem: problemOfFile(file) }));
  return {
    usable: told.filter(({ problem }) => problem === undefined).map(({ file }) => file),
    problems: told.flatMap(({ problem }) => problem ?? []),
  };
}

const isSent = ({ state }: BatchFile) => state === "kept" || state === "arrived";

/** Tells one file from another, as well as a page can. */
const keyOf = ({ name, size, lastModified }: File) => JSON.stringify([name, size, lastModified]);

function toBatchFile(file: File): BatchFile {
  const url = URL.createObjectURL(file);
  return {
    id: crypto.randomUUID(),
    file,
    url,
    words: wordsOf(file),
    hasPlace: false,
    state: "chosen",
    problem: undefined,
  };
}
