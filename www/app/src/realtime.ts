// Loaded on demand, once the gallery is there.
import { RealtimeClient } from "@supabase/supabase-js";
import type { Session } from "./session";

/** Who hears of the user's rows. */
export interface Listener {
  /** A row has come. */
  arrived: (imageId: string) => void;
  /** A row is gone: anybody's, of which no more than the id is told. */
  gone: (imageId: string) => void;
  /** From now on it is told of every change; what came before that may have been missed. */
  joined: () => void;
}

const TABLE = { schema: "imagen", table: "images" };
/** How often a project that never answered is tried: it may have no Realtime. */
const TRIES = 3;
/** The waits between tries, in ms; the last one again and again. */
const WAITS_MS = [1000, 2000, 5000, 10_000, 30_000];

/** Listens by Supabase Realtime until what this resolves to is called. */
export async function listen(session: Session, owner: string, listener: Listener): Promise<() => void> {
  const { supabaseUrl, publishableKey } = session.config;
  let hasJoined = false;
  const client = new RealtimeClient(`${supabaseUrl.replace(/^http/, "ws")}/realtime/v1`, {
    params: { apikey: publishableKey },
    // Asked for at each heartbeat, and sent where it is a new one.
    accessToken: () => session.accessToken(),
    reconnectAfterMs: (failures: number) => {
      // Once the timer is set that this is for: a client that disconnects has none.
      if (!hasJoined && failures >= TRIES) queueMicrotask(stop);
      return WAITS_MS[Math.min(failures, WAITS_MS.length) - 1] ?? 0;
    },
  });
  function stop(): void {
    client.disconnect().catch(() => {});
  }
  // A channel that joins while its token is being asked for joins without one, is sent none later, and hears of no row.
  await client.setAuth();
  client
    .channel(`images-${owner}`)
    .on("postgres_changes", { event: "INSERT", ...TABLE, filter: `owner_user_id=eq.${owner}` }, ({ new: row }) =>
      listener.arrived(String(row.id)),
    )
    .on("postgres_changes", { event: "DELETE", ...TABLE }, ({ old }) => listener.gone(String(old.id)))
    .subscribe((status) => {
      if (status !== "SUBSCRIBED") return;
      hasJoined = true;
      listener.joined();
    });
  return stop;
}
