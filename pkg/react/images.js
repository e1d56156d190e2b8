"use client";
import { useCallback, useEffect, useRef, useState } from "react";
import { checkOwner, connect, keyOf } from "./target.js";

const NONE = { state: "signed-out", images: [], hasMore: false };
const LOADING = { state: "loading", images: [], hasMore: false };

/** A user's images, page after page, for as long as a component shows them. */
class Gallery {
  /** What the component shows. */
  shown = LOADING;
  #before = null;
  #abort = new AbortController();
  #reading = undefined;
  #refreshing = undefined;
  #round = 0;
  /** Which images were removed since the last reading began: what it reads may still have them. */
  #gone = [];

  /** @param {{ user: object, options: object }} latest those of the last rendering */
  constructor(latest, tell) {
    this.latest = latest;
    this.tell = tell;
  }

  close() {
    this.#abort.abort();
    this.opening?.then((target) => target.free()).catch(() => undefined);
  }

  /** What reads and removes. Where it could not be had, the next one who asks tries again. */
  #target() {
    if (!this.opening) {
      this.opening = connect(this.latest);
      this.opening.catch(() => {
        this.opening = undefined;
      });
    }
    return this.opening;
  }

  /** The newest page, in the place of all. What was being read is not shown any more: it may lack what has arrived. */
  async refresh() {
    const refreshing = this.#read(undefined);
    this.#refreshing = refreshing;
    this.#reading = undefined;
    await refreshing;
    if (this.#refreshing === refreshing) this.#refreshing = undefined;
  }

  /** The next page, once, however often it is asked for: behind what a refresh brings that is under way. */
  async more() {
    if (!this.shown.hasMore) return;
    while (this.#refreshing) await this.#refreshing;
    if (!this.shown.hasMore) return;
    this.#reading ??= this.#read(this.#before).finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async remove(image) {
    const target = await this.#target();
    const removed = await target.remove(image, { signal: this.#abort.signal });
    // By an id one row goes, though others may name the same object; by a path all of them.
    const isGone = image.imageId
      ? ({ imageId }) => imageId === removed.imageId
      : ({ storagePath }) => storagePath === removed.storagePath;
    this.#gone.push(isGone);
    this.#show({ images: this.shown.images.filter((each) => !isGone(each)) });
    return removed;
  }

  async #read(before) {
    const { signal } = this.#abort;
    this.#round += 1;
    const round = this.#round;
    this.#gone = [];
    try {
      const target = await this.#target();
      const { limit = 24, signedUrl } = this.latest.options ?? {};
      const options = { limit, ...(before && { before }), ...(signedUrl !== undefined && { signedUrl }), signal };
      const page = await target.list(options);
      if (round !== this.#round) return;
      this.#before = page.before;
      const known = before === undefined ? [] : this.shown.images;
      const ids = new Set(known.map(({ imageId }) => imageId));
      const isNew = (image) => !ids.has(image.imageId) && !this.#gone.some((isGone) => isGone(image));
      const images = [...known, ...page.images.filter(isNew)];
      this.#show({ state: "shown", images, hasMore: page.before !== null, error: undefined });
    } catch (error) {
      // What is shown stays.
      if (round === this.#round) this.#show({ state: "failed", error });
    }
  }

  #show(changes) {
    if (this.#abort.signal.aborted) return;
    this.shown = { ...this.shown, ...changes };
    this.tell(this.shown);
  }
}

/**
 * The user's images, the newest first.
 * @param {import("./index.d.ts").ImagenUser | null | undefined} user
 * @param {import("./index.d.ts").ImagesOptions} [options] those of the last rendering
 * @returns {import("./index.d.ts").UsedImages}
 */
export function useImages(user, options) {
  const key = keyOf(user, "images");
  const owner = user?.ownerUserId;
  const latest = useRef({ user, options });
  const held = useRef(undefined);
  const [shown, setShown] = useState({ key: undefined, value: NONE });

  useEffect(() => {
    Object.assign(latest.current, { user, options });
  });

  useEffect(() => {
    if (key === undefined) return undefined;
    const gallery = new Gallery(latest.current, (value) => setShown({ key, value }));
    held.current = gallery;
    gallery.refresh();
    return () => {
      held.current = undefined;
      gallery.close();
      setShown({ key: undefined, value: NONE });
    };
  }, [key]);

  const refresh = useCallback(async () => held.current?.refresh(), []);
  const more = useCallback(async () => held.current?.more(), []);
  const remove = useCallback(
    async (image) => {
      checkOwner("useImages", owner, held.current && latest.current.user?.ownerUserId);
      return held.current.remove(image);
    },
    [owner],
  );

  // Another user's images are not shown, not for one rendering either.
  const value = shown.key === key ? shown.value : key === undefined ? NONE : LOADING;
  return { ...(key === undefined ? NONE : value), refresh, more, remove };
}
