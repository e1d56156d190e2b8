// The web app: built when its sources are newer than the build, then served as a static host would.
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { cacheControl, securityHeaders } from "../app/headers.mjs";

const APP = fileURLToPath(new URL("../app", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../pkg", import.meta.url));
/** Not `dist`: a build for a demo is not to be published. */
const DIST = join(APP, "dist-demo");

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".map": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

/** The built files by URL path, with the panel that a published build leaves out. */
export async function buildApp() {
  const built = await newest(DIST).catch(() => 0);
  if (Math.max(await newest(APP), await newest(PACKAGE)) > built) {
    await build({ root: APP, mode: "demo", logLevel: "warn", build: { outDir: DIST, emptyOutDir: true } });
  }
  const files = new Map();
  for (const path of await filesUnder(DIST)) {
    files.set(`/${relative(DIST, path).replaceAll(sep, "/")}`, await readFile(path));
  }
  return files;
}

export function serveApp(files, config, request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  const path = pathname === "/" ? "/index.html" : pathname;
  const body = path === "/config.json" ? JSON.stringify(config) : files.get(path);
  if (request.method !== "GET" && request.method !== "HEAD") return response.writeHead(405).end();
  if (body === undefined) return response.writeHead(404, { "content-type": "text/plain" }).end("Not found\n");
  response.writeHead(200, {
    "content-type": path === "/config.json" ? "application/json" : (TYPES[extname(path)] ?? "application/octet-stream"),
    "cache-control": cacheControl(path),
    ...securityHeaders(config),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** When the newest file under a folder was written; what is built or installed there does not count. */
async function newest(folder) {
  const files = (await filesUnder(folder)).filter((path) => {
    const parts = relative(folder, path).split(sep);
    return !parts.includes("node_modules") && !(folder === APP && parts[0]?.startsWith("dist"));
  });
  const times = await Promise.all(files.map(async (path) => (await stat(path)).mtimeMs));
  return Math.max(0, ...times);
}

async function filesUnder(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
