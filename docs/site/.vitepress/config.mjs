// The documentation as a site: `make docs` builds it into target/docs.
//   DOCS_BASE         the path it is served under, such as /imagen-cloud/; "/" by default
//   DOCS_REPOSITORY   where links to the source go, such as https://github.com/OWNER/NAME/blob/main; without it they are text
import { readFileSync } from "node:fs";
import { slug } from "github-slugger";
import { defineConfig } from "vitepress";
import { repositoryLinks } from "../links.mjs";
import { SECTIONS } from "../pages.mjs";

const base = process.env.DOCS_BASE || "/";
const made = JSON.parse(readFileSync(new URL("../pages/api/typedoc-sidebar.json", import.meta.url), "utf8"));
// Groups that fold have a button within a button.
const reference = made.map(({ text, items }) => ({ text, items }));

export default defineConfig({
  title: "imagen-cloud",
  description: "Moves a generated image into Supabase: the bytes, the row, and a signed URL back. Exactly once.",
  lang: "en",
  base,
  srcDir: "pages",
  // As it is served, so that its links can be followed there.
  outDir: `../../target/docs${base}`,
  cacheDir: "../../target/docs-cache",
  markdown: {
    // A block that Rust's documentation tests leave out.
    languageAlias: { "rust,ignore": "rust" },
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    // The pages' links to headings are GitHub's.
    anchor: { slugify: slug },
    config: (md) => repositoryLinks(md, process.env.DOCS_REPOSITORY),
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Recipes", link: "/recipes" },
      { text: "Reference", link: "/reference" },
      { text: "Types", link: "/api/" },
      { text: "Outbox", link: "/outbox" },
    ],
    sidebar: [
      ...SECTIONS.map(({ text, pages }) => ({
        text,
        items: pages.map((page) => ({ text: page.text, link: `/${page.path.replace(/(index)?\.md$/, "")}` })),
      })),
      { text: "Types, one by one", link: "/api/", collapsed: true, items: reference },
    ],
  },
});
