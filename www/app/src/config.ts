/** What differs between the places a build is served from; `/config.json` tells it. */
export interface Config {
  supabaseUrl: string;
  /** The publishable (or legacy anon) key: it opens nothing that the policies don't. */
  publishableKey: string;
  /** Where the Worker answers, without a slash at its end; empty when it is the page's own address. */
  workerUrl: string;
  /** Whether a demo user can be signed up with one click. */
  demo: boolean;
  /** Whether the server can lose this visitor's requests, in a demo: see `break/`. */
  faults?: boolean;
  /** Whether the gallery listens to Supabase Realtime; true by default. */
  realtime?: boolean;
  /** Pixels of a drawn picture's side; 1024 by default. */
  pictureSide?: number;
}

export const CONFIG_PATH = "/config.json";

export async function loadConfig(): Promise<Config> {
  const answer = await fetch(CONFIG_PATH);
  if (!answer.ok) throw new Error(`${CONFIG_PATH}: ${answer.status}`);
  return answer.json();
}
