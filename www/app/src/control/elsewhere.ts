import type { Session } from "../session";
import { openTile } from "../state";
import type { Details } from "./details";
import type { Gallery } from "./gallery";
import type { Removal } from "./removal";

/** What another device or page of the user does with their pictures, where the project tells of it. */
export class Elsewhere {
  #stop: (() => void) | undefined;
  /** Another one for another user. */
  #visit = {};

  constructor(
    private readonly gallery: Gallery,
    private readonly details: Details,
    private readonly removal: Removal,
  ) {}

  async open(session: Session, owner: string): Promise<void> {
    this.close();
    if (session.config.realtime === false) return;
    const visit = this.#visit;
    try {
      const { listen } = await import("../realtime");
      // Nobody is let in without a token, and one that was let in is not asked again.
      await session.accessToken();
      if (visit !== this.#visit) return;
      const stop = await listen(session, owner, {
        arrived: (id) => this.gallery.noteRow(id),
        gone: (id) => this.#gone(id),
        joined: () => this.gallery.refresh(),
      });
      if (visit === this.#visit) this.#stop = stop;
      else stop();
    } catch {
      // Offline, for one: the gallery is read as it is without.
    }
  }

  close(): void {
    this.#visit = {};
    this.#stop?.();
    this.#stop = undefined;
  }

  #gone(id: string): void {
    if (openTile.value?.row.id === id) this.details.close();
    this.gallery.take(id);
    this.removal.gone(id);
  }
}
