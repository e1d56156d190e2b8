// The many part in a page.
import { timeMany } from "./many-each.mjs";

export default async function run(plan) {
  const { createSink } = await import("/pkg/browser.js");
  return timeMany(plan, { createSink, ...(await import("/peers.js")) });
}
