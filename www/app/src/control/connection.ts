import { announce } from "../announce";
import { state } from "../state";

/** Knows whether there is a connection. */
export function watchConnection(): void {
  addEventListener("offline", () => {
    state.isOnline.value = false;
    announce("You're offline. What you send waits in the outbox.");
  });
  addEventListener("online", () => {
    state.isOnline.value = true;
    announce("You're online again.");
  });
}
