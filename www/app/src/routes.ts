import type { SyncRequest, SyncResult } from "imagen-cloud";
import type { Config } from "./config";
import { RouteError } from "./route-error";
import type { Session } from "./session";

export interface SendOptions {
  signal: AbortSignal;
}

/** Where an image landed, or will land. */
export interface Accepted extends SyncResult {
  /** It is safe, but not in Supabase yet. */
  queued?: true;
}

/** A way to Supabase that a picture takes while somebody waits. */
export interface Route {
  send(request: SyncRequest, options: SendOptions): Promise<Accepted>;
  signedUrl(storagePath: string): Promise<string>;
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
    send: ({ image, seed, ...fields }, { signal }) => {
      const form = new FormData();
      // JSON has no int64: the seed goes as text.
      form.append("request", JSON.stringify({ ...fields, seed: seed.toString() }));
      form.append("image", image as Blob, "image");
      return call("sync", { method: "POST", body: form, signal });
    },
    signedUrl: async (path) => (await call(`signed-url?${new URLSearchParams({ path })}`)).url,
  };
}
