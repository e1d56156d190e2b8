/** One task at a time for each name, in the order they came. */
export class KeyLocks {
  #last = new Map();

  /**
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  async run(name, task) {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers();
    this.#last.set(name, promise);
    try {
      await before;
      return await task();
    } finally {
      if (this.#last.get(name) === promise) this.#last.delete(name);
      resolve();
    }
  }
}
