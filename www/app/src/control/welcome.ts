import { isAuthApiError, isAuthRetryableFetchError } from "@supabase/supabase-js";
import type { Session } from "../session";
import { state } from "../state";

const { isBusy, mayBeSetUp, message } = state.welcome;

/** Sign in, sign up, or one click as a demo user. */
export class Welcome {
  constructor(private readonly session: Session) {}

  enterAsDemoUser(): Promise<void> {
    return this.#attempt(() => this.session.signUpDemoUser());
  }

  signIn(email: string, password: string): Promise<void> {
    return this.#attempt(() => this.session.signIn(email, password));
  }

  signUp(email: string, password: string): Promise<void> {
    return this.#attempt(async () => {
      const signedIn = await this.session.signUp(email, password);
      if (!signedIn) message.value = "Almost there: confirm your address with the mail we sent, then sign in.";
    });
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    if (isBusy.value) return;
    message.value = "";
    mayBeSetUp.value = false;
    isBusy.value = true;
    try {
      await work();
    } catch (error) {
      message.value = explain(error);
      // Supabase Auth itself gives a code. What has none is a gateway's, another server's, or nobody's.
      mayBeSetUp.value = !(isAuthApiError(error) && error.code);
    } finally {
      isBusy.value = false;
    }
  }
}

/** By Supabase Auth's codes; its own words say the rest. */
const BY_CODE: Record<string, string> = {
  invalid_credentials: "These are no valid credentials: check address and password.",
  email_not_confirmed: "Confirm your address with the mail we sent, then sign in.",
  user_already_exists: "There is an account with this address: sign in instead.",
  over_request_rate_limit: "That was a lot at once. Wait a minute, then try again.",
};

function explain(error: unknown): string {
  // Also what a gateway answers while the service behind it is away.
  if (isAuthRetryableFetchError(error)) return "Can't reach the server. Check your connection and try again.";
  const told = isAuthApiError(error) ? BY_CODE[error.code ?? ""] : undefined;
  return told ?? (error instanceof Error ? error.message : String(error));
}
