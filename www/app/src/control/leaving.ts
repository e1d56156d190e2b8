import { focusOn } from "../focus";
import type { Session } from "../session";
import { state } from "../state";
import type { OutboxList } from "./outbox";
import type { Removal } from "./removal";

const { isLeaving } = state;

/** How long a deletion may hold up who wants to leave, in ms. */
const PATIENCE_MS = 3000;

/** Signs out, once nothing is lost by it that somebody might miss. */
export class Leaving {
  constructor(
    private readonly session: Session,
    private readonly outbox: OutboxList,
    private readonly removal: Removal,
  ) {}

  /** Asks first where pictures wait, or where nobody can come back. */
  async begin(): Promise<void> {
    if (state.outbox.items.value.size === 0 && !state.account.value?.isDemo) await this.leave();
    else isLeaving.value = true;
  }

  stay(): void {
    if (!isLeaving.value) return;
    isLeaving.value = false;
    focusOn("sign-out");
  }

  /** What waits is kept for this user; what was deleted is, as far as there is a connection. */
  async leave(): Promise<void> {
    isLeaving.value = false;
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
    if (state.isOnline.value) await Promise.race([this.removal.finish(), late]);
    await this.session.signOut();
  }

  async discardAndLeave(): Promise<void> {
    await this.outbox.discardAll();
    // What could not be discarded is told in the outbox.
    if (state.outbox.problem.value === "") await this.leave();
    else this.stay();
  }
}
