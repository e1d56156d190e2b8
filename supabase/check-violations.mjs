// lite answers a row that a check constraint refuses with 500 and no SQLSTATE; PostgREST with 400 and 23514.
// The difference matters: a 500 may be tried again.

const VIOLATION = /new row for relation .* violates check constraint .*/;

/** A Hono middleware for PostgREST's routes. */
export async function checkViolations(c, next) {
  await next();
  if (c.res.status !== 500 || !c.req.path.startsWith("/rest/v1/")) return;
  const { code, message } = await c.res.clone().json();
  const [violation] = VIOLATION.exec(message ?? "") ?? [];
  if (code !== "SUP" || violation === undefined) return;
  c.res = undefined;
  c.res = Response.json({ code: "23514", details: null, hint: null, message: violation }, { status: 400 });
}
