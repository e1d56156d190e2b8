import type { OutboxJob } from "imagen-cloud";
import { element } from "../dom";
import { type Situation, tell } from "../job";
import { wordsOf } from "../name";

/** How long a first click on "Discard" waits for the second one, in ms. */
const SURE_MS = 5000;

export interface Actions {
  retry(): void;
  discard(): void;
}

/** A job's place in the list. */
export class OutboxItem {
  readonly root = element("li", { className: "job" });
  /** What it was called, as far as this device remembers. */
  readonly title: string;
  job: OutboxJob;
  sent: number | undefined;
  readonly #thumb = element("img", { className: "job-thumb", alt: "", decoding: "async", hidden: true });
  readonly #state = element("p", { className: "job-state" });
  readonly #hint = element("p", { className: "job-hint" });
  readonly #bar = element("progress", { max: 100 });
  readonly #detail = element("code");
  readonly #details = element("details", {}, element("summary", {}, "What the server said"), this.#detail);
  readonly #retry = element("button", { type: "button", className: "button small" });
  readonly #discard = element("button", { type: "button", className: "button quiet small" }, "Discard");
  #sure: ReturnType<typeof setTimeout> | undefined;

  constructor(job: OutboxJob, title: string | undefined, actions: Actions) {
    this.job = job;
    this.title = title ?? wordsOf(job.storagePath);
    this.#bar.setAttribute("aria-label", `Upload of ${this.title}`);
    this.#label("Discard");
    this.#retry.addEventListener("click", () => actions.retry());
    this.#discard.addEventListener("click", () => this.#askTwice(() => actions.discard()));
    this.#thumb.addEventListener("error", () => {
      this.#thumb.hidden = true;
    });
    this.root.append(
      element("div", { className: "job-frame" }, this.#thumb),
      element(
        "div",
        { className: "job-text" },
        element("p", { className: "job-title" }, this.title),
        this.#state,
        this.#bar,
        this.#hint,
        this.#details,
      ),
      element("div", { className: "job-actions" }, this.#retry, this.#discard),
    );
  }

  picture(image: Blob): void {
    this.#thumb.src = URL.createObjectURL(image);
    this.#thumb.hidden = false;
  }

  show(situation: Situation): void {
    const told = tell(this.job, { ...situation, ...(this.sent !== undefined && { sent: this.sent }) });
    this.root.dataset.look = told.look;
    if (this.#state.textContent !== told.state) this.#state.textContent = told.state;
    this.#bar.hidden = told.look !== "sending";
    // Without a known fraction the bar shows that it is at work, not how far.
    if (told.fraction) this.#bar.value = Math.round(told.fraction * 100);
    else this.#bar.removeAttribute("value");
    this.#hint.textContent = told.hint ?? "";
    this.#hint.hidden = told.hint === undefined;
    this.#detail.textContent = told.detail ?? "";
    this.#details.hidden = told.detail === undefined;
    this.#retry.hidden = !told.canRetry;
    const action = told.look === "safe" ? "Check now" : "Retry";
    if (this.#retry.textContent !== action) {
      this.#retry.textContent = action;
      this.#retry.setAttribute("aria-label", `${action}: ${this.title}`);
    }
    this.root.toggleAttribute("data-can-retry", told.canRetry);
  }

  /** Where the keyboard goes on when a neighbour is gone. */
  focus(): void {
    this.#discard.focus();
  }

  remove(): void {
    clearTimeout(this.#sure);
    URL.revokeObjectURL(this.#thumb.src);
    this.root.remove();
  }

  /** A picture that is discarded is lost: one click is not enough. */
  #askTwice(discard: () => void): void {
    if (this.#sure === undefined) {
      this.#label("Discard for good?");
      this.#sure = setTimeout(() => this.#reset(), SURE_MS);
    } else {
      this.#reset();
      discard();
    }
  }

  #reset(): void {
    clearTimeout(this.#sure);
    this.#sure = undefined;
    this.#label("Discard");
  }

  #label(text: string): void {
    this.#discard.textContent = text;
    this.#discard.setAttribute("aria-label", `${text} ${this.title}`);
  }
}
