import type { ListedImage, Sink } from "imagen-cloud/outbox";

/** A row of `imagen.images`. */
export interface Row {
  id: string;
  prompt: string;
  storagePath: string;
  backend: string;
  model: string | null;
  /** Every digit of an int64. */
  seed: string | null;
  steps: number | null;
  width: number | null;
  height: number | null;
  latencyMs: number | null;
  costUsd: number | null;
  /** ISO 8601. */
  createdAt: string;
}

/** A URL that shows an image for a while. */
export interface Link {
  /** Missing when the object is gone. */
  url: string | undefined;
  /** Of the small picture beside it, where there is one. */
  small?: string | undefined;
  /** Milliseconds since 1970. */
  signedAt: number;
}

export const PAGE = 12;
/** How long the database may take for an answer, in ms. */
const READ_LIMIT_MS = 15_000;
/** Ids that are asked for at once. */
const MOST_IDS = 100;
export const LINK_SECONDS = 3600;
/** When a link is replaced, in ms: long before it ends. */
export const RENEW_AFTER_MS = 45 * 60 * 1000;

/** The user's images, the newest first, from where an earlier page ended. */
export async function readPage(
  sink: Sink,
  before: string | undefined,
): Promise<{ rows: Row[]; before: string | null }> {
  // Links are signed apart: with those of the small pictures, and for new rows only.
  const options = { limit: PAGE, signedUrl: false, deadlineMs: READ_LIMIT_MS } as const;
  const page = await sink.list({ ...options, ...(before !== undefined && { before }) });
  return { rows: page.images.map(toRow), before: page.before };
}

/** The user's images among these, in no order. */
export async function readRowsOf(sink: Sink, ids: string[]): Promise<Row[]> {
  const pages = Array.from({ length: Math.ceil(ids.length / MOST_IDS) }, (_, i) =>
    sink.list({
      ids: ids.slice(i * MOST_IDS, (i + 1) * MOST_IDS),
      limit: MOST_IDS,
      signedUrl: false,
      deadlineMs: READ_LIMIT_MS,
    }),
  );
  return (await Promise.all(pages)).flatMap(({ images }) => images.map(toRow));
}

/** Links to these images and to their small pictures, signed with one request. */
export async function signRows(sink: Sink, rows: Row[]): Promise<Link[]> {
  const signedAt = Date.now();
  if (rows.length === 0) return [];
  const paths = rows.map(({ storagePath }) => storagePath);
  const urls = await sink.signedUrls([...paths, ...paths.map((path) => `${path}.thumb`)], LINK_SECONDS);
  const link = (i: number) => ({ url: urls[i] ?? undefined, small: urls[paths.length + i] ?? undefined, signedAt });
  return paths.map((_, i) => link(i));
}

function toRow({ imageId, seed, costUsdEstimate, ...row }: ListedImage): Row {
  return { ...row, id: imageId, seed: seed === null ? null : String(seed), costUsd: costUsdEstimate };
}
