import { byId, show } from "../dom";
import type { Painter } from "../painter";
import type { Session } from "../session";

/** Sign in, sign up, or one click as a demo user. */
export function setUpWelcome(session: Session, demo: boolean): void {
  const form = byId<HTMLFormElement>("sign-in");
  const email = byId<HTMLInputElement>("email");
  const password = byId<HTMLInputElement>("password");
  const demoButton = byId<HTMLButtonElement>("demo");
  show("demo", demo);
  show("demo-or", demo);

  const attempt = async (work: () => Promise<void>) => {
    say("");
    setBusy(true);
    try {
      await work();
      password.value = "";
    } catch (error) {
      say(explain(error));
    } finally {
      setBusy(false);
    }
  };
  const setBusy = (busy: boolean) => {
    for (const button of [demoButton, ...form.querySelectorAll("button")]) button.disabled = busy;
  };

  demoButton.addEventListener("click", () => attempt(() => session.signUpDemoUser()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = [email, password].find((input) => !input.validity.valid);
    if (wrong) {
      say(wrong === email ? "Enter your email address." : "A password has at least 6 characters.");
      wrong.focus();
      return;
    }
    const signUp = event.submitter instanceof HTMLButtonElement && event.submitter.value === "sign-up";
    attempt(async () => {
      if (!signUp) return session.signIn(email.value, password.value);
      const signedIn = await session.signUp(email.value, password.value);
      if (!signedIn) say("Almost there: confirm your address with the mail we sent, then sign in.");
    });
  });
}

export function drawWelcome(painter: Painter): void {
  const brief = { prompt: "a lighthouse at dusk", seed: 42n };
  // It is an ornament: without it the page is as good.
  painter.show(byId<HTMLCanvasElement>("welcome-canvas"), brief, () => true).catch(() => undefined);
}

function say(message: string): void {
  byId("sign-in-message").textContent = message;
}

function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/fetch|network/i.test(message)) return "Can't reach the server. Check your connection and try again.";
  return /[.!?]$/.test(message) ? message : `${message}.`;
}
