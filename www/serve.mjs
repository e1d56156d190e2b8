// The web app and the Worker on one local address: what `make demo` shows and the tests drive.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { buildApp, serveApp } from "./local/app.mjs";
import { startWorker } from "./local/worker.mjs";

/**
 * @typedef {object} Web
 * @property {string} url The page's address, without a slash at its end. The Worker answers under `/api/`.
 * @property {Map<string, Buffer | string>} files What is served, by URL path.
 * @property {() => Promise<unknown>} runCron Has the Worker do what it does by the clock.
 * @property {() => Promise<void>} close Ends the server and workerd.
 */

/**
 * Builds what is not built yet and serves it.
 *
 * @param {object} options
 * @param {{ url: string, anonKey: string, serviceKey: string, jwtSecret: string }} options.supabase
 * @param {number} [options.port] Default: any free one.
 * @param {boolean} [options.demo] Whether the page offers to sign up a demo user with one click. Default true.
 * @param {number} [options.pictureSide] Pixels of a drawn picture's side. Default: the page's own.
 * @param {boolean} [options.realtime] Whether the page listens to Supabase Realtime, which the embedded one has not. Default
 *   false.
 * @param {Record<string, string>} [options.worker] Bindings of the Worker beside, or instead of, the usual ones.
 * @param {Awaited<ReturnType<typeof import("./local/faults.mjs").startFaults>>} [options.faults] A proxy that stands before
 *   `supabase`; the page has a panel then that sets it. Default: none.
 * @param {(line: string) => void} [options.log] Gets the Worker's log lines. Default: nobody does.
 * @returns {Promise<Web>}
 */
export async function startWeb({
  supabase,
  port = 0,
  demo = true,
  pictureSide,
  realtime = false,
  worker: bindings = {},
  faults,
  log = () => {},
}) {
  const [app, worker] = await Promise.all([
    buildApp(),
    startWorker({
      bindings: {
        SUPABASE_URL: supabase.url,
        SUPABASE_SERVICE_KEY: supabase.serviceKey,
        SUPABASE_JWT_SECRET: supabase.jwtSecret,
        ...bindings,
      },
      log,
    }),
  ]);
  const config = {
    supabaseUrl: supabase.url,
    publishableKey: supabase.anonKey,
    workerUrl: "",
    demo,
    pictureSide,
    realtime,
  };
  if (faults) {
    config.faults = true;
    for (const name of ["away.html", "away.css"])
      app.set(`/${name}`, await readFile(new URL(`local/${name}`, import.meta.url)));
  }
  const server = createServer((request, response) => {
    if (faults && /^\/faults(\?|$)/.test(request.url)) faults.answer(request, response);
    else if (faults && request.url?.startsWith("/api/")) faults.disturb(worker.url, request, response);
    else if (request.url?.startsWith("/api/")) worker.forward(request, response);
    else serveApp(app, config, request, response);
  });
  try {
    await listen(server, port);
  } catch (error) {
    await worker.close();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    files: app,
    runCron: worker.runCron,
    async close() {
      server.closeAllConnections();
      await Promise.all([new Promise((resolve) => server.close(resolve)), worker.close()]);
    },
  };
}

function listen(server, port) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
