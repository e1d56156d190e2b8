import type { SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import type { PackedForm } from "./form";
import { Problem } from "./problem";
import type { Bindings, Settings } from "./settings";

/** What is known of a staged image without its bytes. */
export interface Staged {
  /** `auth.users.id` */
  owner: string;
  storagePath: string;
  /** Bytes of image and request. */
  size: number;
}

/** A message of the queue. The image itself, and all that is known of it, is in the bucket. */
export interface Delivery {
  imageId: string;
}

const STAGED = "staged/";
const DEAD = "dead/";
/** What the queue takes at once. */
const MESSAGES_AT_ONCE = 100;
/** How long bucket and queue are waited for. */
const PATIENCE_MS = 10_000;

/**
 * Images that Supabase could not take, in an R2 bucket: `staged/{imageId}` is one object, image and request together as
 * the `multipart/form-data` that they came in, so that there is no half of it. Who queues it comes later, and may fail: the bucket is what
 * counts, and the cron trigger queues again what lies there for long.
 */
export class Staging {
  readonly #bucket: R2Bucket;
  readonly #queue: Queue<unknown>;
  readonly #delaySeconds: number;

  private constructor(bucket: R2Bucket, queue: Queue<unknown>, delaySeconds: number) {
    this.#bucket = bucket;
    this.#queue = queue;
    this.#delaySeconds = delaySeconds;
  }

  /** `undefined` where the Worker is deployed without bucket or queue. */
  static of({ STAGED: bucket, DELIVERIES: queue }: Bindings, settings: Settings): Staging | undefined {
    return bucket && queue && new Staging(bucket, queue, settings.retryDelaySeconds);
  }

  async find(imageId: string): Promise<Staged | undefined> {
    const head = await inTime(this.#bucket.head(STAGED + imageId));
    return head === null ? undefined : readMetadata(head);
  }

  /** Resolves once the image is safe. One that is staged already is left as it is, and another one's id refused. */
  async keep(packed: PackedForm, { imageId, storagePath }: SyncResult, user: User): Promise<void> {
    try {
      const put = await inTime(
        this.#bucket.put(STAGED + imageId, packed.body, {
          onlyIf: new Headers({ "if-none-match": "*" }),
          httpMetadata: { contentType: packed.type },
          customMetadata: { owner: user.id, storagePath: encodeURIComponent(storagePath) },
        }),
      );
      if (put !== null) {
        await inTime(this.#queue.send({ imageId } satisfies Delivery, { delaySeconds: this.#delaySeconds }));
        return;
      }
    } catch (cause) {
      throw new Problem("unavailable", { imageId, cause });
    }
    const earlier = await this.find(imageId);
    // Gone meanwhile: it was delivered.
    if (earlier !== undefined) refuseOther(earlier, { imageId, storagePath }, user);
  }

  /** The form, unparsed. Its request may lack the `imageId` that it was given. */
  async open(imageId: string): Promise<PackedForm | undefined> {
    const object = await this.#bucket.get(STAGED + imageId);
    if (object === null) return undefined;
    return { body: new Uint8Array(await object.arrayBuffer()), type: object.httpMetadata?.contentType ?? "" };
  }

  /** Only for an image whose row is confirmed. */
  async release(imageId: string): Promise<void> {
    await this.#bucket.delete(STAGED + imageId);
  }

  /** Moves a hopeless image to `dead/{imageId}`, with the reason in its metadata. */
  async bury(imageId: string, reason: string): Promise<void> {
    const object = await this.#bucket.get(STAGED + imageId);
    if (object === null) return;
    await this.#bucket.put(DEAD + imageId, object.body, {
      ...(object.httpMetadata === undefined ? {} : { httpMetadata: object.httpMetadata }),
      customMetadata: { ...object.customMetadata, reason },
    });
    await this.#bucket.delete(STAGED + imageId);
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

/** Throws when what is staged under this id is another image, or another user's. */
export function refuseOther(
  earlier: Staged,
  { imageId, storagePath }: { imageId: string; storagePath?: string },
  user: User,
): void {
  const isOther = earlier.owner !== user.id || (storagePath !== undefined && earlier.storagePath !== storagePath);
  if (isOther) throw new Problem("id_taken", { imageId });
}

function readMetadata({ customMetadata, size }: R2Object): Staged {
  const { owner = "", storagePath = "" } = customMetadata ?? {};
  return { owner, storagePath: decodeURIComponent(storagePath), size };
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = scheduler.wait(PATIENCE_MS, { signal: timer.signal }).then(
    () => Promise.reject(new Error("bucket or queue did not answer")),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}
