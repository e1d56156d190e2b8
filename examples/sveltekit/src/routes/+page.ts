/** The session is the page's own. */
export const ssr = false;
