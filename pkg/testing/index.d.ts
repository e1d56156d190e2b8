/**
 * `imagen-cloud/testing`: a Supabase project in memory, for your own tests. No network, no server: its `fetch` is handed to
 * `createSink`. It answers as the real servers do, as far as a sink asks them. A relay and its Worker are not in it.
 */
import type { SinkOptions } from "../index.js";

/** Names of your own. */
export interface FakeProjectOptions {
  /** Its address, which nothing is sent to. Default `"https://fake.supabase.co"`. */
  url?: string;
  /** Default `"imagen-generated"`. */
  bucket?: string;
  /** Default `"imagen"`. */
  schema?: string;
  /** Default `"images"`. */
  table?: string;
}

/** A user of the fake project. */
export interface FakeUser {
  /** A UUID. */
  readonly id: string;
  /** The user's token, as a sink asks for it. */
  readonly accessToken: () => string;
  /** From now on the tokens given out so far are refused, as expired ones; the next is good. */
  expire(): void;
}

/** An object in the fake bucket. */
export interface FakeObject {
  /** Storage's id of it. */
  readonly id: string;
  /** What was sent. */
  readonly bytes: Uint8Array;
  /** As it was declared. */
  readonly mimeType: string;
  /** Its `Cache-Control`. */
  readonly cacheControl: string;
  /** Another one after each upload. */
  readonly version: string;
  /** When it was stored. */
  readonly createdAt: Date;
}

/** A row, by the columns' names; a `seed` beyond 2^53 is a bigint. */
export type FakeRow = Record<string, unknown> & { id: string; owner_user_id: string; storage_path: string };

/** What a request is for. `read` is a row's, `download` an object's. */
export type FakeRequestKind = "upload" | "resumable" | "insert" | "read" | "sign" | "download" | "remove" | "other";

/** A request as it came; no header of it is kept. */
export interface FakeRequest {
  /** In upper case. */
  readonly method: string;
  /** Path and query, without a signed URL's token. */
  readonly target: string;
  /** What it is for. */
  readonly kind: FakeRequestKind;
  /** Bytes of its body. */
  readonly bytes: number;
  /** The answer's, where there was one. */
  readonly status?: number;
}

/** What is to go wrong. */
export interface FakeFault {
  /** With which requests. Default: all. */
  on?: FakeRequestKind;
  /** Only with those about a storage path that contains this. */
  path?: string;
  /**
   * `status` answers in the server's place (the default), `unreachable` fails before the server hears of it, `answer-lost`
   * after it has done what was asked, `hanging` never answers.
   */
  how?: "status" | "unreachable" | "answer-lost" | "hanging";
  /** How often. Default 1. */
  times?: number;
  /** For `status`. Default 503. */
  status?: number;
  /** For `status`: what is answered as JSON. */
  body?: unknown;
  /** For `status`: headers of the answer, such as `retry-after`. */
  headers?: Record<string, string>;
}

/** A project in memory. */
export interface FakeProject {
  /** Answers every request to the project; others fail as an unknown host does. */
  readonly fetch: typeof globalThis.fetch;
  /** The user of `options`. */
  readonly user: FakeUser;
  /** Makes another user. */
  createUser(): FakeUser;
  /** For `createSink`, as a page has them: the publishable key, and the user's token. */
  readonly options: SinkOptions & { ownerUserId: string };
  /** The same for another user. */
  optionsOf(user: FakeUser): SinkOptions & { ownerUserId: string };
  /** For `createSink`, as a server has them: the secret key, for the images of `user`. */
  readonly serverOptions: SinkOptions & { ownerUserId: string };
  /** The table's rows, the oldest first. */
  readonly rows: FakeRow[];
  /** The bucket's objects, by their storage path. */
  readonly objects: Map<string, FakeObject>;
  /** All requests so far. */
  readonly requests: FakeRequest[];
  /** Orders a fault; earlier ones come first. Returns what calls it off. */
  fail(fault: FakeFault): () => void;
  /** Forgets rows, objects, requests and faults. Users stay. */
  clear(): void;
}

/** Makes a project in memory, with one user. */
export function createFakeProject(options?: FakeProjectOptions): FakeProject;
