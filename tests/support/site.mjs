/**
 * Serves the test pages of tests/outbox/site, with the built package under `/pkg/`, test data under `/data/`, and
 * supabase-js as `/supabase.js`.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FOLDERS = { "/pkg/": "pkg", "/data/": "tests/data", "/": "tests/outbox/site" };
const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".wasm": "application/wasm",
};
const SUPABASE = "node_modules/@supabase/supabase-js/dist/umd/supabase.js";

/**
 * Starts the server on a free port of 127.0.0.1.
 * @param {Record<string, string>} [folders] what to serve instead: folders by how a path starts, the longest start first
 */
export async function startSite(folders = FOLDERS) {
  const served = [];
  const server = createServer(async (request, response) => {
    try {
      const { type, body, file } = await find(folders, new URL(request.url, "http://x").pathname);
      served.push(file);
      response.writeHead(200, { "content-type": type, "cache-control": "no-cache" }).end(body);
    } catch (error) {
      response.writeHead(404, { "content-type": "text/plain" }).end(error.code ?? error.message);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** The files that were asked for, so far. */
    served,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function find(folders, pathname) {
  // The bundle sets a global; as a module it exports it.
  if (pathname === "/supabase.js") {
    const bundle = await readFile(path.join(ROOT, SUPABASE), "utf8");
    return { type: TYPES[".js"], body: `${bundle}\nexport const { createClient, navigatorLock } = supabase;` };
  }
  const [prefix, folder] = Object.entries(folders).find(([start]) => pathname.startsWith(start));
  const name = pathname.slice(prefix.length) || "index.html";
  const file = path.resolve(ROOT, folder, `.${path.normalize(`/${name}`)}`);
  return { type: TYPES[path.extname(file)] ?? "application/octet-stream", body: await readFile(file), file };
}
