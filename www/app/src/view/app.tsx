import { install } from "../install";
import { state, underWay } from "../state";
import type { Controls } from "./controls";
import { DetailsDialog } from "./details";
import { DOCTOR_MISSING } from "./doctor";
import { LeavingDialog } from "./leaving";
import { RemovedBar } from "./removed";
import { Studio } from "./studio";
import { WelcomePage } from "./welcome";

/** The whole page. */
export function App({ controls }: { controls: Controls }) {
  const isSignedIn = state.account.value !== undefined;
  const Doctor = state.doctor.dialog.value;
  return (
    <>
      <SkipLink />
      <Bar onSignOut={() => controls.leaving.begin()} />
      <main id="main" tabIndex={-1}>
        <p className="banner" id="offline" hidden={state.isOnline.value}>
          <strong>You're offline.</strong> What you send waits in the outbox and goes out by itself.
        </p>
        {/* There before it has something to say, so that it is said. */}
        <div role="status">
          {state.isOutdated.value && (
            <p className="banner" id="new-version">
              <strong>There is a newer version of this page.</strong> What you wrote and what waits stay.{" "}
              <button type="button" className="button small" onClick={() => location.reload()}>
                Reload
              </button>
            </p>
          )}
          {state.doctor.isMissing.value && <p className="banner">{DOCTOR_MISSING}</p>}
        </div>
        {isSignedIn ? <Studio controls={controls} /> : <WelcomePage controls={controls} />}
      </main>
      {isSignedIn && <RemovedBar control={controls.removal} />}
      {isSignedIn && <DetailsDialog controls={controls} />}
      {isSignedIn && <LeavingDialog control={controls.leaving} />}
      {Doctor && <Doctor />}
      <div className="visually-hidden" id="announce" role="log" aria-label="What happened">
        {state.said.value.map(({ id, message }) => (
          <p key={id}>{message}</p>
        ))}
      </div>
      <Foot hasDoctor />
    </>
  );
}

/** What is there when nothing else can be. */
export function Fatal() {
  return (
    <>
      <SkipLink />
      <Bar />
      <main id="main" tabIndex={-1}>
        <div className="notice" id="fatal" role="alert">
          This page could not start: its configuration can't be loaded. Reload it in a moment.
        </div>
      </main>
      <Foot />
    </>
  );
}

function SkipLink() {
  return (
    <a className="skip" href="#main">
      Skip to content
    </a>
  );
}

function Bar({ onSignOut }: { onSignOut?: () => void }) {
  const account = state.account.value;
  return (
    <header className="bar">
      <a className="brand" href="/">
        <img src="/favicon.svg" alt="" width={28} height={28} />
        imagen-cloud
      </a>
      <div className="bar-end">
        {underWay.value > 0 && (
          <p className="under-way" id="under-way">
            {underWay.value} on {underWay.value === 1 ? "its" : "their"} way
          </p>
        )}
        {state.installOffer.value && (
          <button className="button quiet" type="button" id="install" onClick={install}>
            Install
          </button>
        )}
        {account && (
          <div className="account" id="account">
            <span className="account-email" id="account-email">
              {account.email}
            </span>
            <button className="button quiet" type="button" id="sign-out" onClick={onSignOut}>
              Sign out
            </button>
          </div>
        )}
      </div>
    </header>
  );
}

function Foot({ hasDoctor = false }) {
  return (
    <footer className="foot">
      <p>Storage object, database row and signed URL: one unit, exactly once.</p>
      {hasDoctor && <a href="#/doctor">Is the project set up right?</a>}
    </footer>
  );
}
