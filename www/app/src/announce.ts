import { byId, element } from "./dom";

/** Tells those who listen instead of look. What was said a while ago is dropped. */
export function announce(message: string): void {
  const log = byId("announce");
  log.append(element("p", {}, message));
  while (log.childElementCount > 4) log.firstElementChild?.remove();
}
