// lite answers a row that a check constraint refuses with 500 and no SQLSTATE; PostgREST with 400, 23514 and PostgreSQL's
// details, which quote the whole row where no policy hides it. The difference matters: a 500 may be tried again, and a
// quoted row holds a prompt.

const CHECK_VIOLATION = "23514";

/**
 * Has lite answer check violations as PostgREST does, by PostgREST's own way for a function to say what is answered.
 * @param {import("@supabase/lite").Connection} connection
 */
export function answerCheckViolations(connection) {
  const normalise = connection.normalizeDbError.bind(connection);
  connection.normalizeDbError = (thrown) => {
    const error = normalise(thrown);
    if (error?.code !== CHECK_VIOLATION) return error;
    const { message, detail: details = null, hint = null } = error;
    return Object.assign(new Error(JSON.stringify({ code: CHECK_VIOLATION, message, details, hint })), {
      code: "PGRST",
      detail: JSON.stringify({ status: 400, headers: {} }),
    });
  };
}
