/** Moves the keyboard to the element of this id, once what has just been changed is drawn. */
export function focusOn(id: string): void {
  // Preact draws in a microtask that was queued by the change.
  queueMicrotask(() => document.getElementById(id)?.focus({ preventScroll: true }));
}
