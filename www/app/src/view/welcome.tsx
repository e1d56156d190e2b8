import { useEffect, useRef } from "preact/hooks";
import { focusOn } from "../focus";
import { state } from "../state";
import type { Controls } from "./controls";
import { AskDoctor } from "./doctor";
import { Loop } from "./loop";

const { hasDemo, isBusy, mayBeSetUp, message } = state.welcome;

/** What who is not signed in sees. */
export function WelcomePage({ controls: { welcome, painter } }: { controls: Controls }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const brief = { prompt: "a lighthouse at dusk", seed: 42n };
    // It is an ornament: without it the page is as good.
    if (canvas.current) painter.show(canvas.current, brief, () => true).catch(() => undefined);
  }, [painter]);
  return (
    <section className="welcome" id="welcome" aria-labelledby="welcome-title">
      <div className="welcome-text">
        <h1 id="welcome-title">
          Pictures that <em>arrive.</em>
        </h1>
        <p className="lead">
          Draw one from a few words, or bring your own. Its bytes and its row reach your Supabase project together,
          once, even through a bad connection.
        </p>
        <Loop />
        <div className="card sign-in">
          {hasDemo.value && (
            <>
              <button
                className="button primary wide"
                type="button"
                id="demo"
                aria-disabled={isBusy.value}
                onClick={() => welcome.enterAsDemoUser()}
              >
                Try it as a demo user
              </button>
              {state.breakIt.isOffered.value && (
                <button
                  className="button wide"
                  type="button"
                  id="watch"
                  aria-disabled={isBusy.value}
                  onClick={() => {
                    history.replaceState(null, "", "#/break");
                    welcome.enterAsDemoUser();
                  }}
                >
                  Watch it survive
                </button>
              )}
              <p className="or" id="demo-or">
                <span>or with your own account</span>
              </p>
            </>
          )}
          <SignIn welcome={welcome} />
        </div>
      </div>
      <figure className="frame welcome-art">
        <canvas id="welcome-canvas" ref={canvas} role="img" aria-label="A lighthouse by the sea, drawn by this page" />
        <figcaption>“a lighthouse at dusk”, seed 42. Drawn on your device just now.</figcaption>
      </figure>
    </section>
  );
}

function SignIn({ welcome }: Pick<Controls, "welcome">) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    // Whether an address is one is the browser's to say.
    const wrong = form.querySelector<HTMLInputElement>("input:invalid");
    if (wrong) {
      message.value = wrong.id === "email" ? "Enter your email address." : "A password has at least 6 characters.";
      focusOn(wrong.id);
      return;
    }
    const fields = new FormData(form, event.submitter);
    const [email, password] = [String(fields.get("email")), String(fields.get("password"))];
    if (fields.get("as") === "sign-up") welcome.signUp(email, password);
    else welcome.signIn(email, password);
  };
  return (
    <form id="sign-in" noValidate onSubmit={submit}>
      <div className="field">
        <label htmlFor="email">Email</label>
        <input id="email" name="email" type="email" autoComplete="email" required />
      </div>
      <div className="field">
        <label htmlFor="password">Password</label>
        <input id="password" name="password" type="password" autoComplete="current-password" minLength={6} required />
      </div>
      <p className="form-message" id="sign-in-message" role="alert">
        {message.value}
      </p>
      {mayBeSetUp.value && state.isOnline.value && <AskDoctor />}
      <div className="pair">
        <button className="button" type="submit" name="as" value="sign-in" aria-disabled={isBusy.value}>
          Sign in
        </button>
        <button className="button" type="submit" name="as" value="sign-up" aria-disabled={isBusy.value}>
          Create account
        </button>
      </div>
    </form>
  );
}
