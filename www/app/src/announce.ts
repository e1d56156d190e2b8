import { state } from "./state";

let count = 0;

/** Tells those who listen instead of look. What was said a while ago is dropped. */
export function announce(message: string): void {
  state.said.value = [...state.said.value, { id: count++, message }].slice(-4);
}
