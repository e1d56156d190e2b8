// The version as each file has it, and what the changelog says of it.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { parse } from "smol-toml";

const ROOT = new URL("../", import.meta.url);
const text = (path) => readFileSync(new URL(path, ROOT), "utf8");
const json = (path) => JSON.parse(text(path));

/** The version of the package in every file that names it, by the file's name. */
export async function namedVersions() {
  const versions = new Map();
  versions.set("pkg/package.json", json("pkg/package.json").version);
  versions.set("Cargo.toml", parse(text("Cargo.toml")).package.version);
  const crate = parse(text("Cargo.lock")).package.find(({ name }) => name === "imagen-cloud");
  versions.set("Cargo.lock", crate.version);
  versions.set("package-lock.json", json("package-lock.json").packages.pkg.version);
  for (const manifest of ["www/app/package.json", "www/worker/package.json"]) {
    versions.set(manifest, json(manifest).dependencies["imagen-cloud"]);
  }
  for await (const lock of glob("examples/*/package-lock.json", { cwd: ROOT })) {
    versions.set(lock, json(lock).packages["node_modules/imagen-cloud"].version);
  }
  return versions;
}

/** The files that name another version than pkg/package.json does. */
export function disagreeing(versions) {
  const version = versions.get("pkg/package.json");
  return [...versions].filter(([, other]) => other !== version).map(([file, other]) => `${file} has ${other}`);
}

/**
 * What is wrong with the changelog for a version. Before a release it only needs its section; at one, a day, and nothing
 * that is listed for later.
 */
export function changelogFaults(changelog, version, isRelease) {
  const heading = `## [${version}]`;
  const section = changelog.split("\n").find((line) => line.startsWith(heading));
  if (!section) return [`there is no ${heading}`];
  if (!isRelease) return [];
  const faults = [];
  if (!/ - \d{4}-\d\d-\d\d$/.test(section)) faults.push(`no day in "${section}"`);
  const [, unreleased = ""] = /^## \[Unreleased\]\n(.*?)(?=^## )/ms.exec(changelog) ?? [];
  if (unreleased.trim()) faults.push("something is listed under [Unreleased]");
  return faults;
}
