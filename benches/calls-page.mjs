// The calls part in a page.
import { timeCalls } from "./calls-each.mjs";

export default async function run(plan) {
  const { createSink } = await import("/pkg/browser.js");
  return timeCalls(plan, { createSink, ...(await import("/peers.js")) });
}
