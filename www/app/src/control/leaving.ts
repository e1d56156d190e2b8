import { focusOn } from "../focus";
import type { Session } from "../session";
import { state } from "../state";
import type { OutboxList } from "./outbox";

const { isLeaving } = state;

/** Signs out, once nothing is lost by it that somebody might miss. */
export class Leaving {
  constructor(
    private readonly session: Session,
    private readonly outbox: OutboxList,
  ) {}

  /** Asks first where pictures wait, or where nobody can come back. */
  async begin(): Promise<void> {
    if (state.outbox.items.value.size === 0 && !state.account.value?.isDemo) await this.session.signOut();
    else isLeaving.value = true;
  }

  stay(): void {
    if (!isLeaving.value) return;
    isLeaving.value = false;
    focusOn("sign-out");
  }

  /** What waits is kept for this user. */
  async leave(): Promise<void> {
    isLeaving.value = false;
    await this.session.signOut();
  }

  async discardAndLeave(): Promise<void> {
    await this.outbox.discardAll();
    // What could not be discarded is told in the outbox.
    if (state.outbox.problem.value === "") await this.leave();
    else this.stay();
  }
}
