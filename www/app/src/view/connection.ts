import { announce } from "../announce";
import { show } from "../dom";

/** A banner while there is no connection. */
export function watchConnection(): void {
  show("offline", !navigator.onLine);
  addEventListener("offline", () => {
    show("offline", true);
    announce("You're offline. What you send waits in the outbox.");
  });
  addEventListener("online", () => {
    show("offline", false);
    announce("You're online again.");
  });
}
