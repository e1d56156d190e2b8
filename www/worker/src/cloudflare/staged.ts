import { untilAnswered } from "../again";
import type { PackedForm } from "../form";
import type { ProblemCode } from "../problem";
import { readSettings } from "../settings";
import type { Buried, KeptKeys, Place, Removal, Staged, Stored } from "../staging";
import { timer } from "../timer";
import type { Bindings } from "./bindings";

/** A message of the queue. The image itself, and all that is known of it, is in the bucket. */
export interface Delivery {
  imageId: string;
}

const STAGED = "staged/";
const DEAD = "dead/";
const REMOVED = "removed/";
const KEYS = "keys";
/** How long a removal is remembered. */
const REMEMBERED_MS = 30 * 86_400_000;
/**
 * Pages that one run looks through, of a thousand objects each: two requests a page of marks, eleven of staged images, and a Worker
 * may ask bucket and queue a thousand times in all.
 */
const MARK_PAGES = 10;
const STAGED_PAGES = 50;
/** Where a run tells the next one behind which object to go on. */
const LAST_MARK = "tidied/removed";
const LAST_STAGED = "tidied/staged";
/** What the queue takes at once. */
const MESSAGES_AT_ONCE = 100;
/** How long bucket and queue are waited for. */
const PATIENCE_MS = 10_000;

/**
 * Images that Supabase could not take, in an R2 bucket: `staged/{imageId}` is one object, image and request together as
 * the `multipart/form-data` that they came in, so that there is no half of it. Who queues it comes later, and may fail: the
 * bucket is what counts, and the cron trigger queues again what lies there for long.
 */
export class StagedInR2 implements Stored {
  readonly #bucket: R2Bucket;
  readonly #queue: Queue<unknown>;
  readonly #env: Bindings;

  private constructor(bucket: R2Bucket, queue: Queue<unknown>, env: Bindings) {
    this.#bucket = bucket;
    this.#queue = queue;
    this.#env = env;
  }

  /** `undefined` where the Worker is deployed without bucket or queue. */
  static of(env: Bindings): StagedInR2 | undefined {
    return env.STAGED && env.DELIVERIES && new StagedInR2(env.STAGED, env.DELIVERIES, env);
  }

  async find(imageId: string): Promise<Staged | undefined> {
    const head = await inTime(this.#bucket.head(STAGED + imageId));
    return head === null ? undefined : readMetadata(head);
  }

  async keep(form: PackedForm, { imageId, owner, storagePath }: Place): Promise<boolean> {
    const put = await inTime(
      this.#bucket.put(STAGED + imageId, form.body, {
        onlyIf: new Headers({ "if-none-match": "*" }),
        httpMetadata: { contentType: form.type },
        customMetadata: { owner, storagePath: encodeURIComponent(storagePath) },
      }),
    );
    if (put === null) return false;
    const { retryDelaySeconds: delaySeconds } = readSettings(this.#env);
    await inTime(this.#queue.send({ imageId } satisfies Delivery, { delaySeconds }));
    return true;
  }

  async open(imageId: string): Promise<PackedForm | undefined> {
    const object = await inTime(this.#bucket.get(STAGED + imageId));
    if (object === null) return undefined;
    const body = new Uint8Array(await inTime(object.arrayBuffer()));
    return { body, type: object.httpMetadata?.contentType ?? "" };
  }

  /** Tried again: what stays is brought once more, though somebody may have removed the image at Supabase meanwhile. */
  async release(imageId: string): Promise<void> {
    await untilAnswered(readSettings(this.#env), () => inTime(this.#bucket.delete(STAGED + imageId)));
  }

  /** Moves it to `dead/{imageId}`, with the reason in its metadata. */
  async bury(imageId: string, code: ProblemCode, reason: string): Promise<void> {
    const object = await inTime(this.#bucket.get(STAGED + imageId));
    if (object === null) return;
    const options = {
      ...(object.httpMetadata === undefined ? {} : { httpMetadata: object.httpMetadata }),
      customMetadata: { ...object.customMetadata, code, reason },
    };
    await inTime(this.#bucket.put(DEAD + imageId, object.body, options));
    await inTime(this.#bucket.delete(STAGED + imageId));
    // Of a removal at the same time and this, whoever is later finds the other.
    const { owner } = readMetadata(object);
    if ((await this.findRemoval(imageId))?.owner === owner) await this.releaseBuried(imageId);
  }

  async findBuried(imageId: string): Promise<Buried | undefined> {
    const head = await inTime(this.#bucket.head(DEAD + imageId));
    // Of one that was put aside before there were codes, its user is told the most general one.
    const code = (head?.customMetadata?.code ?? "upstream_refused") as ProblemCode;
    return head === null ? undefined : { ...readMetadata(head), code };
  }

  async releaseBuried(imageId: string): Promise<void> {
    await inTime(this.#bucket.delete(DEAD + imageId));
  }

  async findRemoval(imageId: string): Promise<Removal | undefined> {
    const head = await inTime(this.#bucket.head(REMOVED + imageId));
    if (head === null || !isRemembered(head)) return undefined;
    const { owner, storagePath } = readMetadata(head);
    return { owner, storagePath: storagePath || undefined };
  }

  async markRemoved(imageId: string, { owner, storagePath }: Removal, isOwn: boolean): Promise<Removal | undefined> {
    const earlier = await this.findRemoval(imageId);
    if (earlier !== undefined && earlier.owner !== owner && !isOwn) return undefined;
    const path = storagePath ?? (earlier?.owner === owner ? earlier.storagePath : undefined);
    const removedAt = String(Date.now());
    const customMetadata = { owner, removedAt, ...(path !== undefined && { storagePath: encodeURIComponent(path) }) };
    await inTime(this.#bucket.put(REMOVED + imageId, "", { customMetadata }));
    return { owner, storagePath: path };
  }

  async recallKeys(url: string): Promise<KeptKeys | undefined> {
    const object = await inTime(this.#bucket.get(KEYS));
    if (object === null || object.customMetadata?.url !== url) return undefined;
    return { jwks: await inTime(object.text()), keptAt: object.uploaded.getTime() };
  }

  /** Keeps the keys that are published at this address now. */
  async keepKeys(url: string, jwks: string): Promise<void> {
    await inTime(this.#bucket.put(KEYS, jwks, { customMetadata: { url } }));
  }

  /** Deletes marks of removals that are over. */
  forgetRemovals(): Promise<number> {
    const all: R2ListOptions = { prefix: REMOVED, include: ["customMetadata"] };
    return this.#lookThrough(all, LAST_MARK, MARK_PAGES, async (marks) => {
      const over = marks.filter((mark) => !isRemembered(mark)).map(({ key }) => key);
      if (over.length > 0) await inTime(this.#bucket.delete(over));
      return over.length;
    });
  }

  /** Queues what has been staged for longer than that, whether or not a message is still under way. */
  requeue(olderThanSeconds: number): Promise<number> {
    const newest = Date.now() - olderThanSeconds * 1000;
    return this.#lookThrough({ prefix: STAGED }, LAST_STAGED, STAGED_PAGES, async (objects) => {
      const stale = objects.filter(({ uploaded }) => uploaded.getTime() <= newest);
      const messages = stale.map(({ key }) => ({ body: { imageId: key.slice(STAGED.length) } }));
      for (let from = 0; from < messages.length; from += MESSAGES_AT_ONCE) {
        await inTime(this.#queue.sendBatch(messages.slice(from, from + MESSAGES_AT_ONCE)));
      }
      return messages.length;
    });
  }

  /** Hands over a part of these objects a run, page by page, from where the last run ended. Resolves to the sum of what `work` counts. */
  async #lookThrough(
    all: R2ListOptions,
    bookmark: string,
    pages: number,
    work: (objects: R2Object[]) => Promise<number>,
  ): Promise<number> {
    const earlier = await inTime(this.#bucket.get(bookmark));
    let startAfter = earlier === null ? undefined : await inTime(earlier.text());
    let count = 0;
    for (let page = 0; page < pages; page++) {
      const after = startAfter === undefined ? {} : { startAfter };
      const { objects, truncated } = await inTime(this.#bucket.list({ ...all, ...after }));
      count += await work(objects);
      startAfter = truncated ? objects.at(-1)?.key : undefined;
      if (startAfter === undefined) break;
    }
    await inTime<unknown>(
      startAfter === undefined ? this.#bucket.delete(bookmark) : this.#bucket.put(bookmark, startAfter),
    );
    return count;
  }
}

function isRemembered({ customMetadata }: R2Object): boolean {
  return Number(customMetadata?.removedAt) + REMEMBERED_MS > Date.now();
}

function readMetadata({ customMetadata, size }: R2Object): Staged {
  const { owner = "", storagePath = "" } = customMetadata ?? {};
  return { owner, storagePath: decodeURIComponent(storagePath), size };
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const late = timer(PATIENCE_MS);
  const fail = () => Promise.reject(new Error("bucket or queue did not answer"));
  try {
    return await Promise.race([work, late.over.then(fail)]);
  } finally {
    late.stop();
  }
}
