/**
 * The pictures of this device's outbox whose arrival nobody was told of yet, over a reload and a closed tab: their ids,
 * and which tab is to tell of them. A tab is there for as long as it holds its lock.
 */
export class Untold {
  readonly #tab = crypto.randomUUID();
  readonly #isLocking = "locks" in navigator;

  constructor() {
    if (this.#isLocking) navigator.locks.request(lockOf(this.#tab), () => new Promise(() => {})).catch(() => {});
  }

  /** This tab has put a picture in the outbox, and tells of it as long as it is there. */
  add(owner: string, id: string): Promise<void> {
    return this.#change(owner, (tabs) => tabs.set(id, this.#tab));
  }

  /** Somebody has told of it, or it never arrives. */
  drop(owner: string, id: string): Promise<void> {
    return this.#change(owner, (tabs) => tabs.delete(id));
  }

  /** Those of a user that this tab has to tell of: its own, and those whose tab is gone. */
  async due(owner: string): Promise<string[]> {
    const there = await this.#tabsThere();
    return [...readTabs(owner)].filter(([, tab]) => tab === this.#tab || !there.has(tab)).map(([id]) => id);
  }

  /** Whether this tab, and no other one, is to tell of this arrival. */
  async claim(owner: string, id: string): Promise<boolean> {
    const there = await this.#tabsThere();
    let isMine = false;
    await this.#change(owner, (tabs) => {
      const tab = tabs.get(id);
      isMine = tab !== undefined && (tab === this.#tab || !there.has(tab));
      if (isMine) tabs.delete(id);
    });
    return isMine;
  }

  /** One tab at a time, or two would tell of the same. */
  async #change(owner: string, change: (tabs: Map<string, string>) => void): Promise<void> {
    // Where there are no locks, there is no outbox.
    if (!this.#isLocking) return;
    await navigator.locks.request(keyOf(owner), () => {
      const tabs = readTabs(owner);
      change(tabs);
      keepTabs(owner, tabs);
    });
  }

  async #tabsThere(): Promise<Set<string>> {
    const { held = [] } = this.#isLocking ? await navigator.locks.query() : {};
    return new Set(held.map(({ name = "" }) => name.slice(lockOf("").length)));
  }
}

const lockOf = (tab: string) => `imagen-cloud-tab-${tab}`;
const keyOf = (owner: string) => `imagen-cloud-untold-${owner}`;

function readTabs(owner: string): Map<string, string> {
  try {
    return new Map(Object.entries(JSON.parse(localStorage.getItem(keyOf(owner)) ?? "{}")));
  } catch {
    return new Map();
  }
}

function keepTabs(owner: string, tabs: Map<string, string>): void {
  try {
    if (tabs.size > 0) localStorage.setItem(keyOf(owner), JSON.stringify(Object.fromEntries(tabs)));
    else localStorage.removeItem(keyOf(owner));
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}
