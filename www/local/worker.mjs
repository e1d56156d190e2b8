// The Worker in workerd, the runtime it is deployed to, bundled as wrangler bundles it, with the services that
// wrangler.jsonc binds. What they hold is lost at the end.
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createRequire } from "node:module";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";

// Of the versions that the pinned wrangler brings.
const fromWrangler = createRequire(createRequire(import.meta.url).resolve("wrangler/package.json"));
const esbuild = fromWrangler("esbuild");
const { Log, LogLevel, Miniflare } = fromWrangler("miniflare");

const ENTRY = fileURLToPath(new URL("../worker/src/cloudflare/index.ts", import.meta.url));
const WRANGLER_CONFIG = new URL("../worker/wrangler.jsonc", import.meta.url);

/**
 * @param {object} options
 * @param {Record<string, string>} options.bindings
 * @param {(line: string) => void} options.log Gets every line the Worker logs.
 * @param {{ limit: number, period: 10 | 60 }} [options.rateLimit] Instead of wrangler.jsonc's.
 * @param {number} [options.batchTimeout] How many seconds the queue waits for more messages, instead of wrangler.jsonc's.
 * @param {boolean} [options.inspect] Whether the isolate can be looked into.
 * @param {Record<string, string>} [options.doubles] Scripts of Workers to be bound instead of a service, by its name.
 * @param {string} [options.source] Of an entry that takes the place of `index.ts`, beside the same modules.
 */
export async function startWorker({ bindings, log, rateLimit, batchTimeout, inspect = false, doubles = {}, source }) {
  const [modules, config] = await Promise.all([bundleWorker(source), readWranglerConfig()]);
  const miniflare = new Miniflare({
    cf: false,
    telemetry: { enabled: false },
    // One for all processes of this user: another Worker of this name, of a second clone or test, would get our messages.
    enableDevRegistry: false,
    log: new Log(LogLevel.ERROR),
    handleStructuredLogs: ({ message }) => log(message),
    ...(inspect ? { inspectorPort: 0 } : {}),
    workers: [
      {
        config: {
          name: config.name,
          compatibilityDate: config.compatibility_date,
          manifest: toManifest(modules),
          env: { ...toEnv(config, bindings, rateLimit), ...toServices(doubles) },
          triggers: toTriggers(config, batchTimeout),
        },
        dev: { unsafeInspectorProxy: inspect },
      },
      ...Object.entries(doubles).map(([name, script]) => ({
        config: {
          name: toName(name),
          compatibilityDate: config.compatibility_date,
          manifest: toManifest({ script, wasm: [] }),
        },
      })),
    ],
  });
  const address = await miniflare.ready;
  return {
    /** Its own address, for tests that need no page. */
    url: address.origin,
    forward: (request, response) => forward(address, request, response),
    /** The R2 bucket of staged images. */
    staged: () => miniflare.getR2Bucket("STAGED"),
    /** The queue that brings them to Supabase. */
    deliveries: () => miniflare.getQueueProducer("DELIVERIES"),
    /** What the platform does by the clock, and nobody does here. */
    runCron: async () => (await miniflare.getWorker()).scheduled({ cron: config.triggers.crons[0] }),
    /** Where the isolate is looked into, by the DevTools protocol. */
    inspector: () => miniflare.getInspectorURL(),
    close: () => miniflare.dispose(),
  };
}

/** The services that the Worker is bound to, and its variables. */
function toEnv({ ratelimits, r2_buckets: buckets, queues }, bindings, rateLimit) {
  const env = {};
  for (const { binding, bucket_name: name } of buckets) env[binding] = { type: "r2", name };
  for (const { binding, queue: name } of queues.producers) env[binding] = { type: "queue", name };
  for (const { name, namespace_id: namespace, simple } of ratelimits) {
    env[name] = { type: "rate-limit", namespace, simple: rateLimit ?? simple };
  }
  for (const [name, value] of Object.entries(bindings)) env[name] = { type: "text", value };
  return env;
}

function toServices(doubles) {
  return Object.fromEntries(Object.keys(doubles).map((name) => [name, { type: "worker", worker: toName(name) }]));
}

function toName(binding) {
  return `double-of-${binding.toLowerCase()}`;
}

function toTriggers({ queues, triggers }, batchTimeout) {
  return [
    ...triggers.crons.map((schedule) => ({ type: "scheduled", schedule })),
    ...queues.consumers.map((consumer) => ({
      type: "queue",
      name: consumer.queue,
      maxBatchSize: consumer.max_batch_size,
      maxBatchTimeout: batchTimeout ?? consumer.max_batch_timeout,
      maxRetries: consumer.max_retries,
    })),
  ];
}

const bundles = new Map();

/** The Worker's modules by name: one of JavaScript, and the WebAssembly that it imports. Made once a process. */
export function bundleWorker(source) {
  if (!bundles.has(source)) bundles.set(source, bundle(source));
  return bundles.get(source);
}

async function bundle(source) {
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
  const { outputFiles, warnings } = await esbuild.build({
    ...(source === undefined ? { entryPoints: [ENTRY] } : { stdin: { contents: source, resolveDir: dirname(ENTRY) } }),
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
  return { script: text("index.js"), sourceMap: text("index.js.map"), wasm, warnings };
}

function toManifest({ script, sourceMap, wasm }) {
  const modules = { "index.js": { type: "esm", contents: script } };
  if (sourceMap !== undefined) modules["index.js.map"] = { type: "sourcemap", contents: sourceMap };
  for (const [name, contents] of wasm) modules[name] = { type: "wasm", contents: new Uint8Array(contents) };
  return { mainModule: "index.js", modules };
}

/** Its comments are lines of their own. */
async function readWranglerConfig() {
  return JSON.parse((await readFile(WRANGLER_CONFIG, "utf8")).replaceAll(/^\s*\/\/.*$/gm, ""));
}

/** Passes a request on as it came, path, host and all, and its answer back. */
function forward(address, request, response) {
  const { hostname, port } = address;
  const { method, url: path, headers } = request;
  // No connection is used twice: workerd closes one without a word when too long a body was answered unread.
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
