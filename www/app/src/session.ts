import { AuthClient, type User } from "@supabase/supabase-js";
import type { Config } from "./config";
import { endIn } from "./limit";
import { sessionStore } from "./session-store";

export interface Account {
  id: string;
  email: string;
  /** Nobody knows its password: who signs out can't come back. */
  isDemo: boolean;
}

/** How long an answer of Supabase Auth may take, in ms. */
const AUTH_LIMIT_MS = 20_000;
/** A token that lasts no longer is renewed before it is used; supabase-js takes 90 s. */
const RENEWED_BEFORE_MS = 120_000;
const STORAGE_KEY = "imagen-cloud-session";

/** Who is signed in, kept across page loads; in the service worker, who was when the last page went. */
export class Session {
  readonly #auth: InstanceType<typeof AuthClient>;

  constructor(readonly config: Config) {
    this.#auth = new AuthClient({
      url: `${config.supabaseUrl}/auth/v1`,
      headers: { apikey: config.publishableKey },
      storage: sessionStore,
      storageKey: STORAGE_KEY,
      fetch: (input, init) => fetch(input, { ...init, signal: endIn(AUTH_LIMIT_MS) }),
      // A token is renewed when it is asked for: see accessToken.
      autoRefreshToken: false,
      detectSessionInUrl: false,
    });
  }

  /** Who is signed in as far as this device knows, also offline and when the token has expired. */
  async account(): Promise<Account | undefined> {
    const kept = await sessionStore.getItem(STORAGE_KEY).catch(() => null);
    return kept === null ? undefined : toAccount(JSON.parse(kept).user);
  }

  /** Calls back now and at every change of user; a renewed token is none. */
  async onChange(listener: (account: Account | undefined) => void): Promise<void> {
    let known: string | undefined;
    const tell = (account: Account | undefined) => {
      known = account?.id;
      listener(account);
    };
    tell(await this.account());
    this.#auth.onAuthStateChange((event, session) => {
      // It says what is known already, or that an expired token can't be renewed offline: no reason to be signed out.
      if (event !== "INITIAL_SESSION" && known !== session?.user.id)
        tell(session ? toAccount(session.user) : undefined);
    });
  }

  async signIn(email: string, password: string): Promise<void> {
    const { error } = await this.#auth.signInWithPassword({ email, password });
    if (error) throw error;
  }

  /** Resolves to false when the address has to be confirmed by mail first. */
  async signUp(email: string, password: string, isDemo = false): Promise<boolean> {
    const { data, error } = await this.#auth.signUp({ email, password, options: { data: { is_demo: isDemo } } });
    if (error) throw error;
    return data.session !== null;
  }

  /** A user of this page's own, with a password that nobody needs to know. */
  async signUpDemoUser(): Promise<void> {
    await this.signUp(`demo-${crypto.randomUUID().slice(0, 8)}@example.com`, crypto.randomUUID(), true);
  }

  /**
   * Forgets the session here, and has Auth forget it. A token that is over would be renewed for that first, which takes half a minute
   * where there is no connection: then nobody but this device had the session, and it is forgotten here alone.
   */
  async signOut(): Promise<void> {
    const kept = await sessionStore.getItem(STORAGE_KEY).catch(() => null);
    if (kept !== null && JSON.parse(kept).expires_at * 1000 < Date.now() + RENEWED_BEFORE_MS) {
      await sessionStore.removeItem(STORAGE_KEY);
    }
    await this.#auth.signOut({ scope: "local" });
  }

  /** The user's JWT, renewed when it is about to expire, by one tab or the service worker at a time. */
  async accessToken(): Promise<string> {
    const { data, error } = await inTurn(() => this.#auth.getSession());
    if (error) throw error;
    if (!data.session) throw new Error("Nobody is signed in.");
    return data.session.access_token;
  }
}

function toAccount({ id, email = "", user_metadata: told }: User): Account {
  return { id, email, isDemo: told?.is_demo === true };
}

/** A refresh token is good for one renewal: two at once would sign the user out. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  // Missing where the page is not served over HTTPS.
  return navigator.locks ? navigator.locks.request(STORAGE_KEY, work) : work();
}
