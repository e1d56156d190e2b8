import { untilAnswered } from "../again";
import type { PackedForm } from "../form";
import type { ProblemCode } from "../problem";
import { readSettings } from "../settings";
import type { Buried, Place, Removal, Staged, Stored } from "../staging";
import { timer } from "../timer";
import type { Bindings } from "./bindings";

/** A message of the queue. The image itself, and all that is known of it, is in the bucket. */
export interface Delivery {
  imageId: string;
}

const STAGED = "staged/";
const DEAD = "dead/";
const REMOVED = "removed/";
/** How long a removal is remembered. */
const REMEMBERED_MS = 30 * 86_400_000;
/** Pages of marks that one run looks through, of a thousand each: two requests a page. */
const MARK_PAGES = 10;
/** Where a run tells the next one from which mark on to go on. */
const LAST_MARK = "tidied/removed";
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
    const object = await this.#bucket.get(STAGED + imageId);
    if (object === null) return undefined;
    return { body: new Uint8Array(await object.arrayBuffer()), type: object.httpMetadata?.contentType ?? "" };
  }

  /** Tried again: what stays is brought once more, though somebody may have removed the image at Supabase meanwhile. */
  async release(imageId: string): Promise<void> {
    await untilAnswered(readSettings(this.#env), () => inTime(this.#bucket.delete(STAGED + imageId)));
  }

  /** Moves it to `dead/{imageId}`, with the reason in its metadata. */
  async bury(imageId: string, code: ProblemCode, reason: string): Promise<void> {
    const object = await this.#bucket.get(STAGED + imageId);
    if (object === null) return;
    await this.#bucket.put(DEAD + imageId, object.body, {
      ...(object.httpMetadata === undefined ? {} : { httpMetadata: object.httpMetadata }),
      customMetadata: { ...object.customMetadata, code, reason },
    });
    await this.#bucket.delete(STAGED + imageId);
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

  /** Deletes marks of removals that are over: some of all marks a run, from where the last run ended. */
  async forgetRemovals(): Promise<number> {
    let startAfter = await (await this.#bucket.get(LAST_MARK))?.text();
    let count = 0;
    for (let page = 0; page < MARK_PAGES; page++) {
      const after = startAfter === undefined ? {} : { startAfter };
      const { objects, truncated } = await this.#bucket.list({
        prefix: REMOVED,
        include: ["customMetadata"],
        ...after,
      });
      const over = objects.filter((mark) => !isRemembered(mark)).map(({ key }) => key);
      if (over.length > 0) await this.#bucket.delete(over);
      count += over.length;
      startAfter = truncated ? objects.at(-1)?.key : undefined;
      if (startAfter === undefined) break;
    }
    await (startAfter === undefined ? this.#bucket.delete(LAST_MARK) : this.#bucket.put(LAST_MARK, startAfter));
    return count;
  }

  /** Queues what has been staged for longer than that, whether or not a message is still under way. */
  async requeue(olderThanSeconds: number): Promise<number> {
    const newest = Date.now() - olderThanSeconds * 1000;
    let count = 0;
    let cursor: string | undefined;
    do {
      const page: R2Objects = await this.#bucket.list({ prefix: STAGED, ...(cursor === undefined ? {} : { cursor }) });
      const stale = page.objects.filter(({ uploaded }) => uploaded.getTime() <= newest);
      for (let from = 0; from < stale.length; from += MESSAGES_AT_ONCE) {
        const some = stale.slice(from, from + MESSAGES_AT_ONCE);
        await this.#queue.sendBatch(some.map(({ key }) => ({ body: { imageId: key.slice(STAGED.length) } })));
      }
      count += stale.length;
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
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
