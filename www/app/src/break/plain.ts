// The comparison: loaded when it is asked for.
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Session } from "../session";

export { sendAndTryOnce } from "./plain-send";

/** supabase-js as the user who is signed in here. */
export function openPlain(session: Session): SupabaseClient {
  const { supabaseUrl, publishableKey } = session.config;
  return createClient(supabaseUrl, publishableKey, { accessToken: () => session.accessToken() });
}
