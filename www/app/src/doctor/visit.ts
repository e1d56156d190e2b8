import { signal } from "@preact/signals";
import { checkProject, isImagenCloudError, type ProjectReport } from "imagen-cloud/outbox";
import { popAddress } from "../over-page";
import type { Session } from "../session";
import { state } from "../state";
import { DOCTOR_MISSING } from "../view/doctor";

/** What the doctor tells of the project's set-up. */
export type Diagnosis =
  | { kind: "looking" }
  | { kind: "found"; report: ProjectReport }
  | { kind: "unasked"; why: string };

export const isOpen = signal(false);
export const diagnosis = signal<Diagnosis>({ kind: "looking" });

/** Looks what is wrong with the project's set-up, as long as the page's address is the doctor's: so Back closes it. */
export class Visit {
  #looking: Promise<void> | undefined;

  constructor(
    private readonly address: string,
    private readonly session: Session,
    /** Hears that nothing is wrong, or no longer. */
    private readonly onRight: () => void,
  ) {
    addEventListener("popstate", () => this.#follow());
    // What another user may do is another question.
    state.account.subscribe(() => {
      if (isOpen.value) this.check();
    });
    this.#follow();
  }

  close(): void {
    if (!isOpen.value) return;
    isOpen.value = false;
    popAddress();
  }

  /** One that has begun goes on to its end, also when nobody waits for it: or what it tries out would be left behind. */
  async check(): Promise<void> {
    diagnosis.value = { kind: "looking" };
    this.#looking ??= this.#lookAsUser().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  #follow(): void {
    const isNamed = location.hash === this.address;
    if (isNamed && !isOpen.value) {
      isOpen.value = true;
      this.check();
    } else if (!isNamed) isOpen.value = false;
  }

  async #lookAsUser(): Promise<void> {
    const user = state.account.value;
    const found = await this.#look(user !== undefined);
    if (user === state.account.value) diagnosis.value = found;
    else if (isOpen.value) return this.#lookAsUser();
    if (found.kind === "found" && found.report.ok) this.onRight();
  }

  async #look(isSignedIn: boolean): Promise<Diagnosis> {
    if (!state.isOnline.value) return { kind: "unasked", why: "You're offline. Check again when you're back." };
    const { supabaseUrl: url, publishableKey: apiKey } = this.session.config;
    const accessToken = () => this.session.accessToken();
    try {
      const report = await checkProject({ url, apiKey, origin: location.origin, ...(isSignedIn && { accessToken }) });
      return { kind: "found", report };
    } catch (error) {
      const why = isImagenCloudError(error) ? `The page's configuration is wrong: ${error.message}.` : DOCTOR_MISSING;
      return { kind: "unasked", why };
    }
  }
}
