import type { Sink } from "imagen-cloud/outbox";
import { ReadingError } from "./advice";
import { endIn } from "./limit";
import type { Session } from "./session";

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
export const LINK_SECONDS = 3600;
/** When a link is replaced, in ms: long before it ends. */
export const RENEW_AFTER_MS = 45 * 60 * 1000;

const COLUMNS =
  "id,prompt,storage_path,backend,model,seed:seed::text,steps,width,height,latency_ms,cost_usd_estimate,created_at";

/** The user's images, the newest first, of those older than `after`; row-level security leaves out everybody else's. */
export async function readRows(session: Session, after?: Row): Promise<{ rows: Row[]; hasMore: boolean }> {
  const query = new URLSearchParams({
    select: COLUMNS,
    order: "created_at.desc,id",
    // One more than is shown tells whether there is more.
    limit: String(PAGE + 1),
  });
  if (after) {
    const sameTime = `and(created_at.eq."${after.createdAt}",id.gt.${after.id})`;
    query.set("or", `(created_at.lt."${after.createdAt}",${sameTime})`);
  }
  const rows = await read(session, query);
  return { rows: rows.slice(0, PAGE), hasMore: rows.length > PAGE };
}

/** The user's images among these, in no order. */
export function readRowsOf(session: Session, ids: string[]): Promise<Row[]> {
  return read(session, new URLSearchParams({ select: COLUMNS, id: `in.(${ids.join(",")})` }));
}

async function read(session: Session, query: URLSearchParams): Promise<Row[]> {
  const { supabaseUrl, publishableKey } = session.config;
  const answer = await fetch(`${supabaseUrl}/rest/v1/images?${query}`, {
    signal: endIn(READ_LIMIT_MS),
    headers: {
      apikey: publishableKey,
      authorization: `Bearer ${await session.accessToken()}`,
      "accept-profile": "imagen",
    },
  });
  if (!answer.ok) throw new ReadingError(answer.status, await answer.text());
  return (await answer.json()).map(toRow);
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

// biome-ignore lint/suspicious/noExplicitAny: the database's columns, which nothing here describes
function toRow(row: any): Row {
  return {
    id: row.id,
    prompt: row.prompt,
    storagePath: row.storage_path,
    backend: row.backend,
    model: row.model,
    seed: row.seed,
    steps: row.steps,
    width: row.width,
    height: row.height,
    latencyMs: row.latency_ms,
    costUsd: row.cost_usd_estimate === null ? null : Number(row.cost_usd_estimate),
    createdAt: row.created_at,
  };
}
