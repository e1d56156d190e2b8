import type { Outbox, OutboxChange, OutboxJob } from "imagen-cloud";
import { adviceFor } from "../advice";
import { announce } from "../announce";
import { byId, show } from "../dom";
import { quoted } from "../name";
import { OutboxItem } from "./outbox-item";

/** The pictures that are on their way, from this tab or another one. */
export class OutboxList {
  readonly #list = byId("jobs");
  #items = new Map<string, OutboxItem>();
  /** What this tab has sent, by id: only the outbox's slug remembers the words of the others. */
  #titles = new Map<string, string>();
  #outbox: Outbox | undefined;
  #stopListening: (() => void) | undefined;
  #paused = false;
  #clock: ReturnType<typeof setInterval> | undefined;

  /** `onArrived` hears of every arrival; `isOwn`, whether this tab sent it. */
  constructor(private readonly onArrived: (job: OutboxJob, title: string, isOwn: boolean) => void) {
    byId("pause").addEventListener("click", () => this.#togglePause());
    for (const type of ["online", "offline"]) addEventListener(type, () => this.#show());
  }

  /** Shows this outbox from now on. */
  async open(outbox: Outbox): Promise<void> {
    this.#leave();
    this.#outbox = outbox;
    this.#stopListening = outbox.onChange((change) => this.#changed(change));
    const [jobs, paused] = await Promise.all([outbox.list(), outbox.isPaused()]);
    if (this.#outbox !== outbox) return;
    this.#paused = paused;
    for (const job of jobs) if (!this.#items.has(job.id)) this.#put(job);
    // Those that left while the list was read.
    const left = new Set((await outbox.list()).map(({ id }) => id));
    if (this.#outbox !== outbox) return;
    for (const id of this.#items.keys()) if (!left.has(id)) this.#take(id);
    this.#show();
  }

  close(): void {
    this.#leave();
    this.#titles.clear();
    this.#show();
  }

  #leave(): void {
    this.#stopListening?.();
    this.#outbox = undefined;
    for (const item of this.#items.values()) item.remove();
    this.#items.clear();
    this.#paused = false;
  }

  /** The words of a picture that this tab is about to put in. */
  remember(id: string, title: string): void {
    this.#titles.set(id, title);
  }

  #changed(change: OutboxChange): void {
    switch (change.state) {
      case "paused":
      case "resumed":
        this.#paused = change.state === "paused";
        break;
      case "progress": {
        const item = this.#items.get(change.id);
        if (item) item.sent = change.sent;
        break;
      }
      case "done":
        this.#arrived(change.id);
        break;
      case "discarded":
        this.#take(change.id);
        break;
      default:
        this.#put(change.job);
    }
    this.#show();
  }

  #arrived(id: string): void {
    const item = this.#items.get(id);
    const title = this.#titles.get(id);
    this.#take(id);
    this.#titles.delete(id);
    if (!item) return;
    announce(`${quoted(item.title)} arrived.`);
    this.onArrived(item.job, item.title, title !== undefined);
  }

  #put(job: OutboxJob): void {
    const known = this.#items.get(job.id);
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
    if (job.state === "queued") known.sent = undefined;
    known.job = job;
  }

  #add(job: OutboxJob): void {
    const outbox = this.#outbox;
    if (!outbox) return;
    const item = new OutboxItem(job, this.#titles.get(job.id), {
      retry: () => this.#act(() => outbox.retry(job.id)),
      discard: () => this.#act(() => outbox.discard(job.id)),
    });
    this.#items.set(job.id, item);
    this.#list.append(item.root);
    outbox.image(job.id).then(
      (image) => this.#items.get(job.id) === item && item.picture(image),
      () => undefined, // damaged, or gone already
    );
  }

  #take(id: string): void {
    const item = this.#items.get(id);
    if (!item) return;
    const hadFocus = item.root.contains(document.activeElement);
    const order = [...this.#items.keys()];
    const next = order[order.indexOf(id) + 1] ?? order[order.indexOf(id) - 1];
    this.#items.delete(id);
    item.remove();
    if (!hadFocus) return;
    if (next === undefined) byId("outbox-title").focus();
    else this.#items.get(next)?.focus();
  }

  #togglePause(): void {
    const outbox = this.#outbox;
    if (outbox) this.#act(() => (this.#paused ? outbox.resume() : outbox.pause()));
  }

  async #act(work: () => Promise<void>): Promise<void> {
    show("outbox-failed", false);
    try {
      await work();
    } catch (error) {
      // Gone meanwhile, by another tab: its own change tells.
      if ((error as { code?: string }).code === "job_missing") return;
      byId("outbox-failed").textContent = adviceFor(error).title;
      show("outbox-failed", true);
    }
  }

  #show(): void {
    const situation = { online: navigator.onLine, paused: this.#paused, now: Date.now() };
    for (const item of this.#items.values()) item.show(situation);
    const count = this.#items.size;
    byId("outbox-count").textContent = count > 0 ? String(count) : "";
    // Where there is no outbox, there is something else to be said.
    show("outbox-empty", count === 0 && this.#outbox !== undefined);
    byId("outbox-empty").textContent = this.#paused
      ? "Paused. What you send waits here until you resume."
      : "Nothing is waiting. What you send passes through here, also while you're offline.";
    show("pause", count > 0 || this.#paused);
    byId("pause").textContent = this.#paused ? "Resume" : "Pause";
    this.#tick([...this.#items.values()].some(({ job }) => job.notBefore > situation.now));
  }

  /** While somebody counts the seconds. */
  #tick(isNeeded: boolean): void {
    if (!isNeeded) {
      clearInterval(this.#clock);
      this.#clock = undefined;
    } else {
      this.#clock ??= setInterval(() => this.#show(), 1000);
    }
  }
}
