import { createSink, isImagenCloudError, type Sink } from "imagen-cloud";
import type { User } from "./auth";
import { problemFrom } from "./problem";
import type { Settings } from "./settings";

/** A sink that writes as the service, into the user's folder and in the user's name, and takes nothing but images. */
export async function withSink<T>(user: User, settings: Settings, work: (sink: Sink) => Promise<T>): Promise<T> {
  let sink: Sink | undefined;
  try {
    sink = await createSink({
      url: settings.supabaseUrl,
      apiKey: settings.serviceKey,
      ownerUserId: user.id,
      pathPrefix: user.id,
      requireImage: true,
      initialBackoffMs: settings.syncBackoffMs,
      maxBackoffMs: 5_000,
      timeoutMs: 10_000,
    });
    return await work(sink);
  } catch (error) {
    throw isImagenCloudError(error) ? problemFrom(error) : error;
  } finally {
    sink?.free();
  }
}

/**
 * Whether another user's row has this id. A sync would find out too, but only at the insert, when the bytes are stored
 * already. So this is a courtesy, and an answer that does not come is no reason to stop.
 */
export async function isAnothersImage(imageId: string, user: User, settings: Settings): Promise<boolean> {
  const query = new URLSearchParams({ id: `eq.${imageId}`, select: "owner_user_id" });
  try {
    const answer = await fetch(`${settings.supabaseUrl}/rest/v1/images?${query}`, {
      headers: { ...keyHeaders(settings), "accept-profile": "imagen" },
      signal: AbortSignal.timeout(5_000),
    });
    const rows: unknown = await answer.json();
    return answer.ok && Array.isArray(rows) && rows.some((row) => row.owner_user_id !== user.id);
  } catch {
    return false;
  }
}

/** Whether Supabase answers at all; a 5xx of its gateway is no answer. */
export async function isReachable(settings: Settings): Promise<boolean> {
  try {
    const answer = await fetch(`${settings.supabaseUrl}/auth/v1/health`, {
      headers: keyHeaders(settings),
      signal: AbortSignal.timeout(5_000),
    });
    await answer.body?.cancel();
    return answer.status < 500;
  } catch {
    return false;
  }
}

function keyHeaders({ serviceKey }: Settings): Record<string, string> {
  return { apikey: serviceKey, authorization: `Bearer ${serviceKey}` };
}
