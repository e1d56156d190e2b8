import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { headersFile } from "./headers.mjs";

const from = (path: string) => join(import.meta.dirname, path);

export default defineConfig({
  plugins: [headers(), shell()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    sourcemap: true,
    // Everything stays a file of its own origin: the page's policy allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: from("index.html"), sw: from("src/sw.ts") },
      // A service worker rules over the folder it lies in, and is found again by its name.
      output: {
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
        // Supabase Realtime's client, by a name that tells it from what a first visit loads.
        codeSplitting: { groups: [{ name: "realtime", test: /@supabase\/(realtime-js|phoenix)\// }] },
      },
    },
  },
});

/** Writes `_headers` for the static host. Where requests may go is what `public/config.json` says, if it is there. */
function headers(): Plugin {
  let dist: string;
  let config: string;
  return {
    name: "headers",
    configResolved({ root, build, publicDir }) {
      dist = resolve(root, build.outDir);
      config = join(publicDir, "config.json");
    },
    async closeBundle() {
      const known = existsSync(config) ? JSON.parse(await readFile(config, "utf8")) : undefined;
      await writeFile(join(dist, "_headers"), headersFile(known));
    },
  };
}

/** Tells the service worker which files make up this build. */
function shell(): Plugin {
  let dist: string;
  return {
    name: "shell",
    configResolved(config) {
      dist = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      const built = await readdir(dist, { recursive: true, withFileTypes: true });
      const paths = built
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(dist.length).replaceAll("\\", "/"))
        .sort();
      const hash = createHash("sha256");
      for (const path of paths) hash.update(path).update(await readFile(join(dist, path)));
      const files = paths.filter(isShell).map((path) => (path === "/index.html" ? "/" : path));
      const told = JSON.stringify({ version: hash.digest("hex").slice(0, 12), files });
      await appendFile(join(dist, "sw.js"), `\nconst SHELL = ${told};\n`);
    },
  };
}

/** Fonts beyond Latin, and what is loaded on demand, are kept once they are used; the configuration is asked for each time; `_headers` is the host's. */
function isShell(path: string): boolean {
  if (/\.map$|^\/(sw\.js|config\.json|_headers)$|^\/assets\/(doctor|metadata|panel|plain|realtime)-/.test(path))
    return false;
  return !/\.woff2?$/.test(path) || /-latin-(?!ext).*\.woff2$/.test(path);
}
