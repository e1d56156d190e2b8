// Who may work on a resumable upload: the newest request. It asks the one before it to stop, which then
// answers with the offset it reached, and waits for that.

const ACQUIRE_MS = 5000;

/** A Locker for @tus/server, within one process and without polling. */
export class EvictingLocker {
  #held = new Map();

  newLock(id) {
    let release;
    return {
      lock: async (_signal, stop) => {
        await this.#wait(id);
        const { promise, resolve } = Promise.withResolvers();
        this.#held.set(id, { stop, released: promise });
        release = resolve;
      },
      unlock: async () => {
        this.#held.delete(id);
        release();
      },
    };
  }

  async #wait(id) {
    let timer;
    const timeout = new Promise((resolve) => {
      timer = setTimeout(resolve, ACQUIRE_MS, "timeout");
    });
    try {
      for (let holder = this.#held.get(id); holder !== undefined; holder = this.#held.get(id)) {
        holder.stop();
        const outcome = await Promise.race([holder.released, timeout]);
        if (outcome === "timeout") throw { status_code: 503, body: "acquiring lock timeout" };
      }
    } finally {
      clearTimeout(timer);
    }
  }
}
