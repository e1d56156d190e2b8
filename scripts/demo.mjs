// `make demo`: the main job on a real image, against the embedded Supabase, and then the page to play with.
//
//   node scripts/demo.mjs [--once] [--port 5173]
//
// With --once, or ONCE=1 in the environment, it ends after the image: 0 when the signed URL gave the bytes back, 1 and
// a reason otherwise.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";

const IMAGE = new URL("../tests/data/lighthouse.png", import.meta.url);
const PAGE_PORT = 5173;

/** A fault that the user can do something about: its message is all that is printed. */
class DemoError extends Error {}

async function main() {
  const { once, port } = readArguments();
  const library = await loadPackage();
  const supabase = await startSupabase();
  let web;
  try {
    await syncOneImage(library, supabase);
    if (once) return;
    web = await startPage(supabase, port);
    console.log(`\npage: ${web.url}\nSupabase: ${supabase.url}\nCtrl-C ends it.`);
    await interrupted();
  } finally {
    await web?.close();
    await supabase.close();
  }
}

function readArguments() {
  const { values } = parseArgs({
    options: { once: { type: "boolean", default: false }, port: { type: "string", default: String(PAGE_PORT) } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new DemoError(`--port ${values.port} is no port`);
  return { once: values.once || process.env.ONCE === "1", port };
}

async function loadPackage() {
  try {
    const library = await import("imagen-cloud");
    await library.init();
    return library;
  } catch (error) {
    throw new DemoError(`the package is not built (${error.message}): run \`make build\``, { cause: error });
  }
}

async function startSupabase() {
  try {
    const { startLocal } = await import("../supabase/local.mjs");
    return await startLocal();
  } catch (error) {
    throw new DemoError(`the embedded Supabase does not start: ${error.message}`, { cause: error });
  }
}

/** Syncs the image as a signed-in user, under row-level security, and compares what the signed URL answers with. */
async function syncOneImage({ sync, signedUrl }, supabase) {
  const user = await signIn(supabase);
  const image = await readFile(IMAGE);
  const sink = {
    url: supabase.url,
    apiKey: supabase.publishableKey ?? supabase.anonKey,
    ownerUserId: user.id,
    pathPrefix: user.id,
    accessToken: () => user.accessToken,
  };
  const request = {
    date: new Date().toISOString().slice(0, 10),
    slug: "lighthouse",
    seed: 42,
    image,
    prompt: "a lighthouse at dusk",
    backend: "demo",
  };
  const { storagePath, imageId } = await sync(sink, request);
  console.log(`storage path: ${storagePath}`);
  console.log(`image id: ${imageId}`);
  const link = await signedUrl(sink, storagePath, 3600);
  console.log(`signed URL: ${link}`);

  const response = await fetch(link);
  if (!response.ok) throw new DemoError(`the signed URL answers ${response.status}: ${await response.text()}`);
  const back = Buffer.from(await response.arrayBuffer());
  if (!back.equals(image)) {
    throw new DemoError(`the signed URL answers ${back.length} bytes that are not the image's ${image.length}`);
  }
}

/** A new user for each run: signing up needs no password that would have to be kept. */
async function signIn({ url, anonKey, publishableKey }) {
  const response = await fetch(`${url}/auth/v1/signup`, {
    method: "POST",
    headers: { apikey: publishableKey ?? anonKey, "content-type": "application/json" },
    body: JSON.stringify({ email: `demo-${randomUUID()}@example.com`, password: randomUUID() }),
  });
  const session = await response.json();
  if (!response.ok || !session.access_token) {
    throw new DemoError(`signing up a demo user answers ${response.status}: ${JSON.stringify(session)}`);
  }
  return { id: session.user.id, accessToken: session.access_token };
}

async function startPage(supabase, port) {
  try {
    const { startWeb } = await import("../www/serve.mjs");
    const { startFaults } = await import("../www/local/faults.mjs");
    const faults = await startFaults(supabase);
    const web = await startWeb({ supabase: { ...supabase, url: faults.url }, faults, port }).catch(async (error) => {
      await faults.close();
      throw error;
    });
    return { url: web.url, close: () => Promise.all([web.close(), faults.close()]) };
  } catch (error) {
    if (error.code !== "EADDRINUSE")
      throw new DemoError(`the page cannot be served: ${error.message}`, { cause: error });
    throw new DemoError(
      `port ${port} is in use: end what listens there, or run \`node scripts/demo.mjs --port 0\` for any free one`,
    );
  }
}

function interrupted() {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) {
      // The Worker's runtime would end the process at once, before the database is closed.
      process.removeAllListeners(signal);
      process.once(signal, resolve);
    }
  });
}

main().then(
  () => process.exit(0),
  (error) => {
    const isExpected = error instanceof DemoError || error.name === "ImagenCloudError";
    console.error(`demo: ${isExpected || error.code?.startsWith?.("ERR_PARSE_ARGS") ? error.message : error.stack}`);
    if (process.env.DEBUG && error.cause) console.error(error.cause);
    process.exit(1);
  },
);
