// What can be seen of a project's address by looking at it: as `src/config/project.rs` sees it, which is not loaded here.

/** What people copy along: the path of one of the project's services. */
const SERVICE = /\/(?:(?:rest|storage|auth|functions|graphql)\/v1|storage\/v1\/s3)$/;

/**
 * @param {string} text as it was given. It is not quoted: it may hold a password, or be a key
 * @returns {{ url: URL } | { fault: [problem: string, remedy: string] }}
 */
export function readAddress(text) {
  const remedy = `It is https://${nameIn(text) ?? "abcd"}.supabase.co (dashboard, Settings, Data API), or your gateway's.`;
  const fault = (problem) => ({ fault: [problem, remedy] });
  if (!isBare(text)) return fault(`the address ${NOT_BARE}`);
  if (/^postgres(?:ql)?:/i.test(text)) return fault("that is the database's address, and not the project's");
  if (!/^https?:\/\//i.test(text)) return fault("the address must start with https:// or http://");
  const url = parsed(text);
  if (!url) return fault("what was given is no address");
  if (url.username || url.password || url.search || url.hash)
    return fault("the address holds more than a scheme, a host and a path, without a user");
  if (/(?:^|\.)supabase\.com$|\.[^.]+\.supabase\.co$/.test(url.hostname))
    return fault("that is an address of Supabase, but not the project's own, such as the dashboard's");
  url.pathname = url.pathname.replace(/\/+$/, "").replace(SERVICE, "");
  return { url };
}

export const NOT_BARE = 'is the text "undefined", or has a space, a line break or a quote at its start or end';

/** Whether a text is what was meant, without what people leave around it. */
export const isBare = (text) => text.trim() === text && !/^["']|["']$|^(?:undefined|null)$/.test(text);

/** The project's name, where neither a password can be nor an organization's name. */
const nameIn = (text) =>
  /@|postgres|\/org\//.test(text) ? undefined : text.split(/[^a-z]/).find((part) => part.length === 20);

function parsed(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
