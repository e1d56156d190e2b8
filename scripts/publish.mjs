// Publishes the package to npm, from GitHub's own machine, with a proof of the commit that it was built from. npm compares that
// with the manifest's `repository`, which only the place that publishes knows.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = process.env;
if (!server || !repository) {
  console.error("publish: this runs in the repository's release workflow, which knows where the repository is");
  process.exit(2);
}
const folder = mkdtempSync(path.join(tmpdir(), "imagen-publish-"));
try {
  cpSync(fileURLToPath(new URL("../pkg", import.meta.url)), folder, { recursive: true });
  const file = path.join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.repository = { type: "git", url: `git+${server}/${repository}.git`, directory: "pkg" };
  manifest.bugs = `${server}/${repository}/issues`;
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
  const flags = process.argv.includes("--dry-run") ? ["--dry-run"] : ["--provenance", "--access=public"];
  execFileSync("npm", ["publish", folder, ...flags], { stdio: "inherit" });
} finally {
  rmSync(folder, { recursive: true });
}
