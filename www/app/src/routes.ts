import { createSink, type Sink, type SyncRequest, type SyncResult } from "imagen-cloud";
import type { Config } from "./config";
import { RouteError } from "./route-error";
import type { Account, Session } from "./session";

export type Stage = "upload" | "insert" | "retry";

export interface SendOptions {
  signal: AbortSignal;
  /** `fraction` is missing where no bytes can be counted. */
  onProgress: (stage: Stage, fraction?: number) => void;
}

/** A way to Supabase. */
export interface Route {
  send(request: SyncRequest, options: SendOptions): Promise<SyncResult>;
  signedUrl(storagePath: string): Promise<string>;
}

/** Straight from the page, as the user and under row-level security. */
export function directRoute(config: Config, session: Session, account: Account): Route {
  const sink: Promise<Sink> = createSink({
    url: config.supabaseUrl,
    apiKey: config.publishableKey,
    accessToken: () => session.accessToken(),
    ownerUserId: account.id,
    pathPrefix: account.id,
    requireImage: true,
    initialBackoffMs: 500,
  });
  // Whoever sends is told; until then nobody has to hear of it.
  sink.catch(() => {});
  return {
    send: async (request, { signal, onProgress }) =>
      (await sink).sync(request, {
        signal,
        onProgress: ({ stage, sent, total }) => {
          if (stage !== "done") onProgress(stage, stage === "upload" ? sent / total : undefined);
        },
        onRetry: () => onProgress("retry"),
      }),
    signedUrl: async (storagePath) => (await sink).signedUrl(storagePath),
  };
}

/** By the Worker, which checks who is asking and writes with a key that no page ever sees. */
export function workerRoute(config: Config, session: Session): Route {
  const call = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${await session.accessToken()}` };
    const answer = await fetch(`${config.workerUrl}/api/${path}`, { ...init, headers });
    if (!answer.ok) throw await RouteError.from(answer);
    return answer.json();
  };
  return {
    send: ({ image, seed, ...fields }, { signal, onProgress }) => {
      const form = new FormData();
      // JSON has no int64: the seed goes as text.
      form.append("request", JSON.stringify({ ...fields, seed: seed.toString() }));
      form.append("image", image as Blob, "image");
      onProgress("upload");
      return call("sync", { method: "POST", body: form, signal });
    },
    signedUrl: async (path) => (await call(`signed-url?${new URLSearchParams({ path })}`)).url,
  };
}
