// Copies the repository's pages to where VitePress builds from: each to its place in the site.
import { cpSync, rmSync } from "node:fs";
import { IMAGES, PATHS } from "./pages.mjs";

const from = (path) => new URL(`../../${path}`, import.meta.url);
const into = (path) => new URL(`pages/${path}`, import.meta.url);

rmSync(into(""), { recursive: true, force: true });
for (const [source, path] of PATHS) cpSync(from(source), into(path));
for (const image of IMAGES) cpSync(from(image), into(image));
