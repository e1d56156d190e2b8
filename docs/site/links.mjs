import { posix } from "node:path";
import { PATHS } from "./pages.mjs";

/**
 * For markdown-it: the pages link to each other, and to files, as they lie in the repository. Links to pages become the
 * site's. Links to files lead to `repository`, and where none is given they are plain text.
 * @param {import("markdown-it").default} md
 * @param {string | undefined} repository such as "https://github.com/OWNER/NAME/blob/main"
 */
export function repositoryLinks(md, repository) {
  md.core.ruler.push("repository-links", ({ tokens, env }) => {
    const source = [...PATHS].find(([, path]) => path === env.relativePath)?.[0];
    // What typedoc writes links within itself.
    if (!source) return;
    for (const { children } of tokens) {
      for (const [index, token] of children?.entries() ?? []) {
        if (token.type === "link_open") rewrite(token, closingOf(children, index), source, repository);
      }
    }
  });
}

function rewrite(open, close, source, repository) {
  const href = open.attrGet("href");
  if (/^([a-z]+:|#)/.test(href)) return;
  const [path, hash] = href.split("#");
  const target = posix.join(posix.dirname(source), path);
  const page = PATHS.get(target);
  if (page) open.attrSet("href", `/${page}${hash ? `#${hash}` : ""}`);
  else if (repository) open.attrs = [["href", `${repository}/${target}`]];
  else
    for (const token of [open, close]) Object.assign(token, { type: "html_inline", tag: "", attrs: null, content: "" });
}

/** Links hold no links, so the next end is this one's. */
function closingOf(tokens, index) {
  return tokens.slice(index).find(({ type }) => type === "link_close");
}
