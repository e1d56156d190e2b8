/**
 * The pages of the site: the repository's own Markdown, where each lies, its place in the site, and its name in the list
 * at the side. The reference from the types is made by typedoc, and lists its own pages.
 * @type {{ text: string, pages: { source: string, path: string, text: string }[] }[]}
 */
export const SECTIONS = [
  {
    text: "Begin",
    pages: [
      { source: "README.md", path: "index.md", text: "What it is, and how to use it" },
      { source: "docs/supabase.md", path: "supabase.md", text: "Setting up Supabase" },
      { source: "docs/doctor.md", path: "doctor.md", text: "Is it set up right?" },
      { source: "docs/hosts.md", path: "hosts.md", text: "Hosts and frameworks" },
      { source: "docs/component.md", path: "component.md", text: "Servers without JavaScript" },
      { source: "docs/recipes.md", path: "recipes.md", text: "Recipes" },
      { source: "docs/metadata.md", path: "metadata.md", text: "What a picture says of itself" },
      { source: "docs/testing.md", path: "testing.md", text: "Testing your own code" },
      { source: "docs/faq.md", path: "faq.md", text: "Questions" },
    ],
  },
  {
    text: "Examples",
    pages: [
      { source: "examples/README.md", path: "examples/index.md", text: "All of them" },
      { source: "examples/vite-react/README.md", path: "examples/vite-react.md", text: "Vite and React" },
      { source: "examples/next/README.md", path: "examples/next.md", text: "Next.js" },
      { source: "examples/sveltekit/README.md", path: "examples/sveltekit.md", text: "SvelteKit" },
      { source: "examples/web-worker/README.md", path: "examples/web-worker.md", text: "A model in a web worker" },
      { source: "examples/worker/README.md", path: "examples/worker.md", text: "A Cloudflare Worker" },
      { source: "examples/html/README.md", path: "examples/html.md", text: "A page without a bundler" },
      {
        source: "examples/wasi-service/README.md",
        path: "examples/wasi-service.md",
        text: "A service without JavaScript",
      },
      { source: "examples/wasi-python/README.md", path: "examples/wasi-python.md", text: "A component in Python" },
      { source: "examples/node-folder/README.md", path: "examples/node-folder.md", text: "Node: send a folder" },
    ],
  },
  {
    text: "In depth",
    pages: [
      { source: "docs/reference.md", path: "reference.md", text: "Functions, options, fields" },
      { source: "docs/errors.md", path: "errors.md", text: "Errors" },
      { source: "docs/outbox.md", path: "outbox.md", text: "The outbox" },
      { source: "docs/benchmarks.md", path: "benchmarks.md", text: "Sizes and speeds" },
    ],
  },
  {
    text: "The Worker and the app",
    pages: [
      { source: "docs/deploy.md", path: "deploy.md", text: "Deploy them" },
      { source: "www/worker/README.md", path: "worker.md", text: "The Worker's routes" },
    ],
  },
  {
    text: "Security",
    pages: [
      { source: "docs/threat-model.md", path: "threat-model.md", text: "Threat model" },
      { source: "SECURITY.md", path: "security.md", text: "Report a weakness" },
    ],
  },
  {
    text: "The project",
    pages: [
      { source: "CHANGELOG.md", path: "changelog.md", text: "Changes" },
      { source: "CONTRIBUTING.md", path: "contributing.md", text: "Contribute" },
      { source: "ARCHITECTURE.md", path: "architecture.md", text: "Architecture" },
      { source: "docs/decisions.md", path: "decisions.md", text: "Decisions" },
      { source: "docs/contract.md", path: "contract.md", text: "The servers' contract" },
    ],
  },
];

/** Where each page's source lies in the site. */
export const PATHS = new Map(SECTIONS.flatMap(({ pages }) => pages).map(({ source, path }) => [source, path]));

/** What the README shows: it lies in the site as it does in the repository. */
export const IMAGES = ["docs/app.jpg"];
