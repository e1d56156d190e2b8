// The Worker in workerd, the runtime it is deployed to, bundled as wrangler bundles it.
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

// Of the versions that the pinned wrangler brings.
const fromWrangler = createRequire(createRequire(import.meta.url).resolve("wrangler/package.json"));
const esbuild = fromWrangler("esbuild");
const { Log, LogLevel, Miniflare } = fromWrangler("miniflare");

const ENTRY = fileURLToPath(new URL("../worker/src/index.ts", import.meta.url));
const WRANGLER_CONFIG = new URL("../worker/wrangler.jsonc", import.meta.url);

/**
 * @param {object} options
 * @param {Record<string, string>} options.bindings
 * @param {(line: string) => void} options.log Gets every line the Worker logs.
 */
export async function startWorker({ bindings, log }) {
  const [modules, compatibilityDate] = await Promise.all([bundleWorker(), readCompatibilityDate()]);
  const env = Object.fromEntries(Object.entries(bindings).map(([name, value]) => [name, { type: "text", value }]));
  const miniflare = new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ message }) => log(message),
    workers: [{ config: { name: "imagen-cloud", compatibilityDate, manifest: toManifest(modules), env } }],
  });
  const address = await miniflare.ready;
  return {
    /** Its own address, for tests that need no page. */
    url: address.origin,
    forward: (request, response) => forward(address, request, response),
    close: () => miniflare.dispose(),
  };
}

/** The Worker's modules by name: one of JavaScript, and the WebAssembly that it imports. */
export async function bundleWorker() {
  const wasm = new Map();
  const keepWasm = {
    name: "keep-wasm",
    setup(build) {
      build.onResolve({ filter: /\.wasm$/ }, async ({ path, pluginData, ...where }) => {
        if (pluginData === "resolved") return;
        const found = await build.resolve(path, { ...where, pluginData: "resolved" });
        if (found.errors.length > 0) return found;
        const name = basename(found.path);
        wasm.set(name, await readFile(found.path));
        return { path: `./${name}`, external: true };
      });
    },
  };
  const { outputFiles } = await esbuild.build({
    entryPoints: [ENTRY],
    outfile: "index.js",
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    sourcemap: "linked",
    plugins: [keepWasm],
  });
  const text = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text;
  return { script: text("index.js"), sourceMap: text("index.js.map"), wasm };
}

function toManifest({ script, sourceMap, wasm }) {
  const modules = {
    "index.js": { type: "esm", contents: script },
    "index.js.map": { type: "sourcemap", contents: sourceMap },
  };
  for (const [name, contents] of wasm) modules[name] = { type: "wasm", contents: new Uint8Array(contents) };
  return { mainModule: "index.js", modules };
}

async function readCompatibilityDate() {
  return /"compatibility_date": "([\d-]+)"/.exec(await readFile(WRANGLER_CONFIG, "utf8"))[1];
}

/** Passes a request on as it came, path, host and all, and its answer back. */
function forward(address, request, response) {
  const { hostname, port } = address;
  const { method, url: path, headers } = request;
  // No connection is used twice: workerd closes one without a word when a body was answered unread.
  const onward = httpRequest({ hostname, port, method, path, headers, agent: false }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  onward.on("error", () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  });
  response.on("close", () => onward.destroy());
  request.pipe(onward);
}
