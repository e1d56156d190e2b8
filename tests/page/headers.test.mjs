// What the app's answers tell browsers: it can't be framed, and talks to its own project only.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { headersFile } from "../../www/app/headers.mjs";
import { enter, send, startSite } from "./support.mjs";

const APP = fileURLToPath(new URL("../../www/app", import.meta.url));

let site;
before(async () => {
  site = await startSite();
});
after(() => site?.close());

/** The headers of a `_headers` file for every path. */
function parse(text) {
  const [rule] = text.split(/\n(?=\/)/);
  const [path, ...lines] = rule.trimEnd().split("\n");
  assert.equal(path, "/*");
  return Object.fromEntries(lines.map((line) => /^ {2}([\w-]+): (.*)$/.exec(line).slice(1)));
}

/** Builds the app with this `config.json`, or none, and gives what `_headers` and the service worker say. */
async function buildWith(config) {
  const folder = await mkdtemp(join(tmpdir(), "imagen-app-"));
  const [publicDir, outDir] = [join(folder, "public"), join(folder, "dist")];
  try {
    await mkdir(publicDir);
    if (config !== undefined) await writeFile(join(publicDir, "config.json"), JSON.stringify(config));
    await build({ root: APP, publicDir, logLevel: "error", build: { outDir, sourcemap: false } });
    return {
      headers: await readFile(join(outDir, "_headers"), "utf8"),
      sw: await readFile(join(outDir, "sw.js"), "utf8"),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("a build for a static host has the headers in _headers, with connect-src from config.json", async () => {
  const config = {
    supabaseUrl: "https://abcd.supabase.co/",
    workerUrl: "https://worker.example/api",
    publishableKey: "x",
  };
  const { headers, sw } = await buildWith(config);
  const sent = parse(headers);
  const policy = sent["content-security-policy"].split("; ");
  assert.ok(policy.includes("frame-ancestors 'none'"));
  const connect = "connect-src 'self' https://abcd.supabase.co wss://abcd.supabase.co https://worker.example";
  assert.ok(policy.includes(connect), policy.join("\n"));
  assert.ok(policy.includes("img-src 'self' blob: https://abcd.supabase.co"));
  assert.equal(sent["x-content-type-options"], "nosniff");
  assert.equal(sent["cross-origin-opener-policy"], "same-origin");
  // Neither is kept for being offline: a stale one would outlive its change.
  assert.doesNotMatch(sw.slice(sw.lastIndexOf("const SHELL")), /_headers|config\.json/);
});

test("a build that knows no project yet lets requests out by HTTPS only", async () => {
  const { headers } = await buildWith(undefined);
  assert.match(headers, /connect-src 'self' https: wss:;/);
  assert.match(headers, /frame-ancestors 'none'/);
});

test("the local server sends what _headers says, and the app works with it", async () => {
  const said = parse(headersFile({ supabaseUrl: site.recorder.url, workerUrl: "" }));
  for (const path of ["/", "/config.json", "/sw.js", "/favicon.svg"]) {
    const { status, headers } = await fetch(site.web.url + path);
    assert.equal(status, 200);
    for (const [name, value] of Object.entries(said)) assert.equal(headers.get(name), value, `${path}: ${name}`);
  }
  const page = await site.openPage();
  await enter(page);
  const { storagePath } = await send(page, { prompt: "under its own policy" });
  assert.ok(storagePath);
  assert.deepEqual(page.complaints, []);
});

test("the welcome is there before JavaScript is", async () => {
  const browser = (await site.openPage()).context().browser();
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(site.web.url);
  await page.getByRole("heading", { level: 1, name: "Pictures that arrive." }).waitFor();
  await context.close();
});

test("a page of another origin can't frame the app", async () => {
  const frame = `<!doctype html><iframe src="${site.web.url}/" onload="document.title = 'tried'"></iframe>`;
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(frame));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const page = await site.openPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => document.title === "tried");
    const texts = await Promise.all(page.frames().map((frame) => frame.evaluate(() => document.body.textContent)));
    assert.equal(page.frames().length, 2);
    assert.doesNotMatch(texts.join(), /Supabase/);
    assert.match(page.complaints.join(), /frame/i);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
