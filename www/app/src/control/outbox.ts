import type { Outbox, OutboxChange, OutboxJob } from "imagen-cloud/outbox";
import { adviceFor } from "../advice";
import { announce } from "../announce";
import { focusOn } from "../focus";
import type { Row } from "../gallery";
import { quoted } from "../name";
import { edit, type Item, state } from "../state";
import type { Brought } from "./delivery";
import type { Untold } from "./untold";

const { isOpen, isPaused, items, problem, now } = state.outbox;

/** How long a first click on "Discard" waits for the second one, in ms. */
const SURE_MS = 5000;

/** How long a server's answer may hold up who discards everything, in ms: the Worker asks Supabase, and may take some seconds. */
const PATIENCE_MS = 5000;

/** The server may have something of it, or get it yet: it is removed there too. What was never tried is here alone. */
function mayBeThere({ job }: Item): boolean {
  if (job.removes !== undefined) return false;
  if (job.state === "failed") return job.error?.stage === "insert";
  return job.state !== "queued" || job.attempts > 0;
}

/**
 * What the Worker has of it while the other way is chosen: it would deliver what it keeps, though that is removed from Supabase.
 * It may keep what was sent to it and had no answer.
 */
function withWorker({ job }: Item): "kept" | "perhaps" | "nothing" {
  if (state.route.value === "worker" || job.removes !== undefined) return "nothing";
  const notes = state.histories.value.get(job.id)?.notes.filter(({ route }) => route === "worker") ?? [];
  if (job.state === "handed-over" || notes.some(({ status }) => status === 202)) return "kept";
  return notes.length > 0 ? "perhaps" : "nothing";
}

/** The id of a picture's "Discard", where the keyboard goes on when a neighbour is gone. */
export const discardId = (id: string) => `discard-${id}`;

/** Discards a picture, and has it removed where the server may have something of it. */
const forget = (outbox: Outbox, item: Item) =>
  mayBeThere(item) ? outbox.remove(item.job.id) : outbox.discard(item.job.id);

export interface Ears {
  /** Hears of each that this tab is about to put in. */
  onExpected: (imageId: string) => void;
  /** Hears of every arrival. */
  onArrived: (imageId: string) => void;
  /** Hears of those that no other tab tells of, and has the `local` picture from then on. */
  tell: (brought: Brought) => void;
  /** Has the Worker forget one, whichever way is chosen now. */
  takeBack: (imageId: string) => Promise<void>;
  /** The user's rows among these. */
  rowsOf: (imageIds: string[]) => Promise<Row[]>;
}

/** The pictures that are on their way, from this tab or another one. */
export class OutboxList {
  /** What this tab has sent, by id. */
  #own = new Set<string>();
  #outbox: Promise<Outbox> | undefined;
  #owner = "";
  #stopListening: (() => void) | undefined;
  #sure = new Map<string, ReturnType<typeof setTimeout>>();
  #clock: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly untold: Untold,
    private readonly ears: Ears,
  ) {
    addEventListener("offline", () => this.#allWait());
    addEventListener("online", () => this.#tellOfMissed());
    // What other tabs told while it lay in the back/forward cache it may not have heard.
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted && this.#outbox) this.open(this.#outbox, this.#owner).catch(() => {});
    });
  }

  /**
   * Shows this outbox of a user from now on, and sends by it what is pressed until it is open. The list stays as it is where the
   * same user had another one: the pictures are the same, and somebody may be about to press a button.
   */
  async open(opening: Promise<Outbox>, owner: string): Promise<void> {
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#outbox = opening;
    this.#owner = owner;
    problem.value = "";
    const outbox = await opening;
    if (this.#outbox !== opening) return;
    isOpen.value = true;
    this.#stopListening = outbox.onChange((change) => this.#changed(change));
    const before = items.value;
    const [jobs, paused] = await Promise.all([outbox.list(), outbox.isPaused()]);
    if (this.#outbox !== opening) return;
    isPaused.value = paused;
    // What was told of a job while the list was read is newer.
    const isAsBefore = (id: string) => items.value.get(id)?.job === before.get(id)?.job;
    for (const job of jobs) if (isAsBefore(job.id)) this.#put(job);
    // Those that left while the list was read.
    const left = new Set((await outbox.list()).map(({ id }) => id));
    if (this.#outbox !== opening) return;
    for (const id of items.value.keys()) if (!left.has(id)) this.#take(id);
    this.#tick();
    this.#tellOfMissed();
  }

  close(): void {
    this.#leave();
    this.#own.clear();
    this.#tick();
  }

  /** This tab is about to put it in. */
  expect(id: string): void {
    this.#own.add(id);
    this.ears.onExpected(id);
  }

  /** It is in; unless it has arrived already, somebody has to tell of it when it does. */
  watch(id: string): void {
    if (this.#own.has(id)) this.untold.add(this.#owner, id);
  }

  togglePause(): void {
    this.#act((outbox) => (isPaused.value ? outbox.resume() : outbox.pause()));
  }

  retry(id: string): void {
    this.#act((outbox) => outbox.retry(id));
  }

  /** A picture that is discarded is lost: one click is not enough. */
  discard(id: string): void {
    const item = items.value.get(id);
    if (item?.isAsked) {
      this.#ask(id, false);
      this.#act(async (outbox) => {
        const standing = withWorker(item);
        const takenBack = standing === "nothing" ? undefined : this.ears.takeBack(id);
        // Where that is only possible, nobody waits for it: without a connection it could not be discarded.
        if (standing === "perhaps") takenBack?.catch(() => {});
        else await takenBack;
        await forget(outbox, item);
      });
    } else {
      this.#ask(id, true);
      this.#sure.set(
        id,
        setTimeout(() => this.#ask(id, false), SURE_MS),
      );
    }
  }

  /** Discards every picture, for who was asked already; waits a while for the servers to hear of what they may have. */
  discardAll(): Promise<void> {
    return this.#act(async (outbox) => {
      const all = [...items.value.values()];
      const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
      const asked = all.filter((item) => withWorker(item) !== "nothing");
      const takenBack = Promise.allSettled(asked.map(({ job }) => this.ears.takeBack(job.id)));
      for (const item of all) await forget(outbox, item);
      await Promise.race([takenBack, late]);
      if (!all.some(mayBeThere)) return;
      // Nothing else is left in it that a pause would hold back.
      if (isPaused.value) await outbox.resume();
      // One that could not be asked for stays in the outbox, and is asked for when its user is back.
      await Promise.race([outbox.drain(), late]);
    });
  }

  #ask(id: string, isAsked: boolean): void {
    clearTimeout(this.#sure.get(id));
    this.#sure.delete(id);
    this.#change(id, { isAsked });
  }

  #leave(): void {
    this.#stopListening?.();
    this.#outbox = undefined;
    for (const id of items.value.keys()) this.#forget(id);
    items.value = new Map();
    isOpen.value = false;
    isPaused.value = false;
    problem.value = "";
  }

  #changed(change: OutboxChange): void {
    switch (change.state) {
      case "paused":
      case "resumed":
        isPaused.value = change.state === "paused";
        if (isPaused.value) this.#allWait();
        break;
      case "progress":
        this.#change(change.id, { sent: change.sent, since: Date.now() });
        break;
      case "done":
        this.#arrived(change.id);
        break;
      case "discarded":
        this.untold.drop(this.#owner, change.id);
        this.#take(change.id);
        break;
      default:
        this.#put(change.job);
    }
    this.#tick();
  }

  async #arrived(id: string): Promise<void> {
    this.ears.onArrived(id);
    const item = items.value.get(id);
    const isOwn = this.#own.delete(id);
    // Whoever is told has its picture from now on.
    this.#change(id, { url: undefined });
    this.#take(id);
    if (!item) return;
    const { title: prompt, url: local, job } = item;
    announce(`${quoted(prompt)} arrived.`);
    const hasWaited = item.hasWaited || !isOwn || job.attempts > 0;
    const claimed = this.untold.claim(this.#owner, id);
    // This tab need not wait for the others' word on its own.
    if (isOwn || (await claimed)) {
      this.ears.tell({ prompt, storagePath: job.storagePath, imageId: id, local, hasWaited });
    } else if (local !== undefined) {
      URL.revokeObjectURL(local);
    }
  }

  /** What arrived while nobody looked, by the service worker for one. */
  async #tellOfMissed(): Promise<void> {
    const [opening, owner] = [this.#outbox, this.#owner];
    const outbox = await opening?.catch(() => undefined);
    if (!outbox) return;
    const due = await this.untold.due(owner);
    // Read after it: what is put in meanwhile is not missed.
    const there = new Set((await outbox.list()).map(({ id }) => id));
    const missed = due.filter((id) => !there.has(id) && !items.value.has(id));
    if (missed.length === 0) return;
    const rows = await this.ears.rowsOf(missed).catch(() => undefined);
    // Without an answer they are told of another time.
    if (!rows || opening !== this.#outbox) return;
    for (const id of missed) {
      const row = rows.find((one) => one.id === id);
      if (!(await this.untold.claim(owner, id)) || !row || opening !== this.#outbox) continue;
      const { prompt, storagePath } = row;
      this.ears.tell({ prompt, storagePath, imageId: id, local: undefined, hasWaited: true });
    }
  }

  #put(job: OutboxJob): void {
    // A picture that goes is told of only where it can't.
    if (job.removes !== undefined && job.state !== "failed") {
      this.#take(job.id);
      return;
    }
    const known = items.value.get(job.id);
    if (!known) {
      this.#add(job);
      return;
    }
    if (job.state === "failed" && known.job.state !== "failed") {
      announce(`${quoted(known.title)} could not be sent: ${adviceFor(job.error).title}.`);
    }
    if (job.state === "handed-over" && known.job.state !== "handed-over") {
      announce(`${quoted(known.title)} is safe with the Worker.`);
    }
    // Bytes that were sent in vain are sent again.
    const news = { job, since: Date.now() };
    this.#change(job.id, job.state === "queued" ? { ...news, sent: undefined } : news);
  }

  #add(job: OutboxJob): void {
    const title = job.prompt || (job.removes === undefined ? "untitled" : "A picture that was discarded");
    const hasWaited = !state.isOnline.value || isPaused.value;
    const item = { job, title, sent: undefined, since: Date.now(), hasWaited, url: undefined, isAsked: false };
    edit(items, (copy) => copy.set(job.id, item));
    const reading = this.#outbox?.then((outbox) => outbox.image(job.id));
    reading?.then(
      (image) => {
        if (items.value.has(job.id)) this.#change(job.id, { url: URL.createObjectURL(image) });
      },
      () => undefined, // damaged, or gone already
    );
  }

  #change(id: string, fields: Partial<Item>): void {
    const known = items.value.get(id);
    if (known) edit(items, (copy) => copy.set(id, { ...known, ...fields }));
  }

  #allWait(): void {
    for (const id of items.value.keys()) this.#change(id, { hasWaited: true });
  }

  #take(id: string): void {
    if (!items.value.has(id)) return;
    const hadFocus = document.activeElement?.closest("[data-job]")?.getAttribute("data-job") === id;
    const order = [...items.value.keys()];
    const next = order[order.indexOf(id) + 1] ?? order[order.indexOf(id) - 1];
    this.#forget(id);
    edit(items, (copy) => copy.delete(id));
    if (hadFocus) focusOn(next === undefined ? "outbox-title" : discardId(next));
  }

  /** What is kept outside of the state for a picture. */
  #forget(id: string): void {
    clearTimeout(this.#sure.get(id));
    this.#sure.delete(id);
    const url = items.value.get(id)?.url;
    if (url !== undefined) URL.revokeObjectURL(url);
  }

  async #act(work: (outbox: Outbox) => Promise<void>): Promise<void> {
    if (!this.#outbox) return;
    problem.value = "";
    try {
      await work(await this.#outbox);
    } catch (error) {
      // Gone meanwhile, by another tab: its own change tells.
      if ((error as { code?: string }).code === "job_missing") return;
      problem.value = adviceFor(error).title;
    }
  }

  /** The clock goes while somebody counts the seconds. */
  #tick(): void {
    now.value = Date.now();
    const counts = ({ job }: Item) => job.notBefore > now.value || ["uploading", "uploaded"].includes(job.state);
    if (![...items.value.values()].some(counts)) {
      clearInterval(this.#clock);
      this.#clock = undefined;
    } else {
      this.#clock ??= setInterval(() => this.#tick(), 1000);
    }
  }
}
