import type { Session } from "../session";
import { openTile } from "../state";
import type { Details } from "./details";
import type { Gallery } from "./gallery";
import type { Removal } from "./removal";

/** What another device or page of the user does with their pictures, where the project tells of it. */
export class Elsewhere {
  #stop: (() => void) | undefined;
  /** Tries once more, until it hears of anything: from then on it goes on by itself. */
  #again: (() => void) | undefined;
  /** Another one for another user. */
  #visit = {};

  constructor(
    private readonly gallery: Gallery,
    private readonly details: Details,
    private readonly removal: Removal,
  ) {
    addEventListener("online", () => this.#again?.());
  }

  async open(session: Session, owner: string): Promise<void> {
    this.close();
    if (session.config.realtime === false) return;
    const visit = this.#visit;
    this.#again = () => this.open(session, owner);
    try {
      const { listen } = await import("../realtime");
      // Nobody is let in without a token, and one that was let in is not asked again.
      await session.accessToken();
      if (visit !== this.#visit) return;
      const stop = await listen(session, owner, {
        arrived: (id) => this.gallery.noteRow(id),
        gone: (id) => this.#gone(id),
        joined: () => {
          if (visit === this.#visit) this.#again = undefined;
          this.gallery.refresh();
        },
      });
      if (visit === this.#visit) this.#stop = stop;
      else stop();
    } catch {
      // Offline, for one: the gallery is read as it is without.
    }
  }

  close(): void {
    this.#visit = {};
    this.#again = undefined;
    this.#stop?.();
    this.#stop = undefined;
  }

  #gone(id: string): void {
    if (openTile.value?.row.id === id) this.details.close();
    this.gallery.take(id);
    this.removal.gone(id);
  }
}
