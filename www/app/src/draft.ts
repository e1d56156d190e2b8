/** Words and seed that were not sent yet. */
export interface Draft {
  prompt: string;
  seed: string;
  /** Whether the words were written by hand: then they are nobody's to replace. */
  isWritten: boolean;
}

const KEY = "imagen-cloud-draft";

export function emptyDraft(): Draft {
  return { prompt: "a lighthouse at dusk", seed: "42", isWritten: false };
}

/** Keeps a user's draft for this tab, over reloads and Back; none, when there is none. */
export function keepDraft(draft: (Draft & { owner: string }) | undefined): void {
  try {
    if (draft) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

/** What this user left unsent in this tab. */
export function keptDraft(owner: string): Draft {
  try {
    const { owner: whose, ...draft } = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    return whose === owner ? { ...emptyDraft(), ...draft } : emptyDraft();
  } catch {
    return emptyDraft();
  }
}
