// Every environment. `make package-test`; the short form is tests/package/installed.test.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startBrowser } from "../support/browser.mjs";
import { createProject, environments, inViteDev, pack, testEnvironments } from "./environments.mjs";

testEnvironments(Object.keys(environments));

test("where a dev server moves the loader away from its file, the error names the line that mends it", async (t) => {
  const [packed, browser] = await Promise.all([pack(), startBrowser()]);
  t.after(() => Promise.all([packed.remove(), browser.close()]));
  const project = await createProject(packed.tarball, "page");
  t.after(project.remove);
  const { answer } = await inViteDev({ ...project, browser, given: { sink: {}, image: "" } }, "7");
  assert.match(answer.error, /could not be loaded: .*optimizeDeps: \{ exclude: \["imagen-cloud"\] \}/);
});
