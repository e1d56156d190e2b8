import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { Config } from "./config";

export interface Account {
  id: string;
  email: string;
}

/** Who is signed in, kept across page loads by supabase-js. */
export class Session {
  readonly client: SupabaseClient;

  constructor(config: Config) {
    this.client = createClient(config.supabaseUrl, config.publishableKey);
  }

  /** Calls back now and at every change of user; a renewed token is none. */
  onChange(listener: (account: Account | undefined) => void): void {
    let known: string | undefined | null = null;
    this.client.auth.onAuthStateChange((_event, session) => {
      if (known === session?.user.id) return;
      known = session?.user.id;
      listener(session ? { id: session.user.id, email: session.user.email ?? "" } : undefined);
    });
  }

  async signIn(email: string, password: string): Promise<void> {
    const { error } = await this.client.auth.signInWithPassword({ email, password });
    if (error) throw error;
  }

  /** Resolves to false when the address has to be confirmed by mail first. */
  async signUp(email: string, password: string): Promise<boolean> {
    const { data, error } = await this.client.auth.signUp({ email, password });
    if (error) throw error;
    return data.session !== null;
  }

  /** A user of this page's own, with a password that nobody needs to know. */
  async signUpDemoUser(): Promise<void> {
    await this.signUp(`demo-${crypto.randomUUID().slice(0, 8)}@example.com`, crypto.randomUUID());
  }

  async signOut(): Promise<void> {
    await this.client.auth.signOut({ scope: "local" });
  }

  /** The user's JWT, renewed when it is about to expire. */
  async accessToken(): Promise<string> {
    const { data, error } = await this.client.auth.getSession();
    if (error) throw error;
    if (!data.session) throw new Error("Nobody is signed in.");
    return data.session.access_token;
  }
}
