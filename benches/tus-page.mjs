// The tus part in a page.
import { timeTus } from "./tus-each.mjs";

export default async function run(plan) {
  const { createSink } = await import("/pkg/browser.js");
  return timeTus(plan, { createSink, ...(await import("/peers.js")) });
}
