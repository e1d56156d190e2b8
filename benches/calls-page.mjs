// The calls part in a page.
import { timeCalls } from "./calls-each.mjs";

export default async function run({ hasBefore, ...plan }) {
  const { createSink } = await import("/pkg/browser.js");
  const before = hasBefore ? await import("/before/pkg/browser.js") : undefined;
  return timeCalls(plan, { createSink, createSinkBefore: before?.createSink, ...(await import("/peers.js")) });
}
