/** Where it is loaded on demand, and is not there. */
export const DOCTOR_MISSING = "The doctor could not be loaded. Check your connection, then reload this page.";

/** Leads to the doctor from what fails as in a project that is not set up right. */
export function AskDoctor() {
  return (
    <a className="button" href="#/doctor">
      What is wrong with the set-up?
    </a>
  );
}
