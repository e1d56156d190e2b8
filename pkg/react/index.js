"use client";
// Hooks for React 18 and newer. What is opened for a user is shared by all components that ask for it, and closed when the last
// one is gone: so StrictMode's second mounting opens nothing again, and a user's switch or sign-out closes what was theirs.
// Nothing of it runs while a server renders: effects don't, and all is opened in effects.
import { createOutbox } from "imagen-cloud/outbox";
import { useCallback, useEffect, useRef, useState } from "react";
import { checkOwner, connect, keyOf } from "./target.js";

export { useImages } from "./images.js";

/** What is open, by whose and what it is. */
const opened = new Map();

/** The jobs after a change. */
function changed(jobs, change) {
  if (change.id === undefined) return jobs;
  if (!change.job) return jobs.filter(({ id }) => id !== change.id); // done, or discarded
  const isListed = jobs.some(({ id }) => id === change.id);
  return isListed ? jobs.map((job) => (job.id === change.id ? change.job : job)) : [...jobs, change.job];
}

class Entry {
  /** What components show. */
  shown = { state: "opening", jobs: [], progress: {} };
  #listeners = new Set();
  #uses = 0;
  #isClosed = false;
  #isListing = false;
  /** The changes that were told of before the jobs were listed. */
  #earlier = [];
  /** What other pages told while this one lay in the back/forward cache it may not have heard. */
  #shownAgain = ({ persisted }) => {
    if (!persisted) return;
    this.#earlier ??= [];
    if (!this.#isListing) this.#list();
  };

  constructor(key, user) {
    this.key = key;
    this.user = user;
  }

  static take(key, user, options) {
    let entry = opened.get(key);
    if (!entry) {
      entry = new Entry(key, user);
      opened.set(key, entry);
      entry.opening = entry.#open(options);
      entry.opening.catch(() => undefined); // told by `shown`, and to who enqueues
    }
    entry.#uses += 1;
    entry.user = user;
    return entry;
  }

  /** Closed a moment later: StrictMode, and a component that makes way for another, take it up again at once. */
  drop() {
    this.#uses -= 1;
    setTimeout(() => {
      if (this.#uses === 0 && !this.#isClosed) this.#close();
    });
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(changes) {
    this.shown = { ...this.shown, ...changes };
    for (const listener of this.#listeners) listener(this.shown);
  }

  async #open(options) {
    try {
      this.target = await connect(this);
      const outbox = await createOutbox(this.target, options);
      if (this.#isClosed) {
        await outbox.close();
        throw new DOMException("the user has changed", "AbortError");
      }
      this.outbox = outbox;
      outbox.onChange((change) => this.#changed(change));
      addEventListener("pageshow", this.#shownAgain);
      this.#tell({ state: "open", outbox });
      this.#list();
      return outbox;
    } catch (error) {
      this.target?.free();
      // Once all components that asked have gone, the next one tries again.
      if (opened.get(this.key) === this && !this.#isClosed) this.#tell({ state: "failed", error });
      throw error;
    }
  }

  #changed(change) {
    if (change.state === "progress") {
      const { id, sent, total } = change;
      this.#tell({ progress: { ...this.shown.progress, [id]: { sent, total } } });
    } else if (this.#earlier) {
      this.#earlier.push(change);
      if (!this.#isListing) this.#list();
    } else this.#show(changed(this.shown.jobs, change));
  }

  /** Lists the jobs; from then on every change is one line of them. */
  #list() {
    this.#isListing = true;
    this.outbox.list().then(
      (listed) => {
        this.#isListing = false;
        const jobs = this.#earlier.reduce(changed, listed);
        this.#earlier = undefined;
        if (this.#isClosed) return;
        this.#tell({ error: undefined });
        this.#show(jobs);
      },
      (error) => {
        this.#isListing = false; // the next change tries again
        if (!this.#isClosed) this.#tell({ error });
      },
    );
  }

  #show(jobs) {
    const kept = Object.entries(this.shown.progress).filter(([id]) => jobs.some((job) => job.id === id));
    this.#tell({ jobs, progress: Object.fromEntries(kept) });
  }

  #close() {
    this.#isClosed = true;
    if (opened.get(this.key) === this) opened.delete(this.key);
    if (!this.outbox) return; // #open does it
    removeEventListener("pageshow", this.#shownAgain);
    this.outbox.close().catch(() => undefined);
    this.target.free();
  }
}

const SIGNED_OUT = { state: "signed-out", jobs: [], progress: {} };
const OPENING = { state: "opening", jobs: [], progress: {} };

/**
 * The outbox of the user, and what is in it.
 * @param {import("./index.d.ts").ImagenUser | null | undefined} user
 * @param {import("../outbox.d.ts").OutboxOptions} [options] those of the component that asks first
 * @returns {import("./index.d.ts").UsedOutbox}
 */
export function useOutbox(user, options) {
  const key = keyOf(user, "outbox");
  const owner = user?.ownerUserId;
  const latest = useRef({ user, options });
  const held = useRef(undefined);
  const [shown, setShown] = useState({ key: undefined, value: SIGNED_OUT });

  useEffect(() => {
    latest.current = { user, options };
    if (held.current?.key === key && user) held.current.user = user;
  });

  useEffect(() => {
    if (key === undefined) return undefined;
    const entry = Entry.take(key, latest.current.user, latest.current.options);
    held.current = entry;
    const update = (value) => setShown({ key, value });
    const leave = entry.subscribe(update);
    update(entry.shown);
    return () => {
      leave();
      held.current = undefined;
      entry.drop();
      setShown({ key: undefined, value: SIGNED_OUT });
    };
  }, [key]);

  const enqueue = useCallback(
    async (request) => {
      const entry = held.current;
      checkOwner("useOutbox", owner, entry?.user.ownerUserId);
      return (await entry.opening).enqueue(request);
    },
    [owner],
  );

  // Another user's jobs are not shown, not for one rendering either.
  const value = shown.key === key ? shown.value : key === undefined ? SIGNED_OUT : OPENING;
  return { ...(key === undefined ? SIGNED_OUT : value), enqueue };
}

const IDLE = { state: "idle" };

/**
 * Sends an image at once, and tells how far it is. What is under way is stopped with the component, or the user.
 * @param {import("./index.d.ts").ImagenUser | null | undefined} user
 * @returns {import("./index.d.ts").UsedSync}
 */
export function useSync(user) {
  const key = keyOf(user, "sync");
  const owner = user?.ownerUserId;
  const latest = useRef(user);
  const running = useRef(undefined);
  const [shown, setShown] = useState({ key: undefined, value: IDLE });

  useEffect(() => {
    latest.current = user;
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is under way ends with its user, whom the key names
  useEffect(
    () => () => {
      latest.current = undefined;
      running.current?.abort();
      setShown({ key: undefined, value: IDLE });
    },
    [key],
  );

  const cancel = useCallback(() => running.current?.abort(), []);
  const sync = useCallback(
    async (request, options = {}) => {
      checkOwner("useSync", owner, latest.current?.ownerUserId);
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      const tell = (value) => {
        if (running.current === controller) setShown({ key, value });
      };
      const onProgress = (progress) => {
        tell({ state: "sending", progress });
        options.onProgress?.(progress);
      };
      const { signal } = controller;
      const stop = () => controller.abort(options.signal.reason);
      options.signal?.addEventListener("abort", stop);
      if (options.signal?.aborted) stop();
      tell({ state: "sending" });
      let target;
      try {
        target = await connect({
          get user() {
            return latest.current;
          },
        });
        const result = await target.sync(request, { ...options, signal, onProgress });
        tell({ state: "done", result });
        return result;
      } catch (error) {
        tell(signal.aborted ? IDLE : { state: "failed", error });
        throw error;
      } finally {
        options.signal?.removeEventListener("abort", stop);
        target?.free();
      }
    },
    [key, owner],
  );
  return { ...(shown.key === key ? shown.value : IDLE), sync, cancel };
}
