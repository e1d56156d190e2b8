//! Which of the database's errors pass by themselves: PostgreSQL's SQLSTATEs and PostgREST's own codes.
//!
//! Sources: PostgreSQL's appendix A and PostgREST's page of errors. PostgREST answers many final errors with a 500 and one
//! passing one with a 405, so that its status alone tells little.

use crate::text::contains;

/// Whether an error with this code may be gone when the same is tried again; `None` where the status has to tell.
/// `message` is in lower case.
pub fn passes(code: &str, message: &str) -> Option<bool> {
    match code {
        // No connection, no schema cache yet, no room in the pool; its own configuration; its own bug.
        "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" | "PGRST300" | "PGRSTX00" => return Some(true),
        // What a function of the project sets or raises wrongly, and names that fit two things: answered with 500 and 300.
        "PGRST111" | "PGRST112" | "PGRST121" | "PGRST201" | "PGRST203" => return Some(false),
        // A pooler gave a connection that other statements were prepared on, or a migration changed what was prepared.
        "26000" | "42P05" => return Some(true),
        "0A000" => return Some(contains(message, "cached plan")),
        // In another's hands: a lock, an object in use.
        "55P03" | "55006" => return Some(true),
        // A row or a policy that is too large for a limit; or no transaction numbers are left until somebody vacuums.
        "54000" => return Some(contains(message, "not accepting commands")),
        // The snapshot is too old.
        "72000" => return Some(true),
        _ => {}
    }
    let class = code.get(..2).filter(|_| code.len() == 5)?;
    match class {
        // Connection; state of a transaction, among it read-only (25006) in a failover or with a full disk; rollback;
        // resources; an operator, a time-out or a shutdown; disk; the server's files; another server behind it; and inner
        // errors, by which also poolers tell that they restart. None is a word on the row.
        "08" | "25" | "40" | "53" | "57" | "58" | "F0" | "HV" | "XX" => Some(true),
        // A trigger, a function, a transaction that a function ends, a definition, a limit, a state that somebody has to
        // change, a function's own words: answered with 500, the same each time.
        "09" | "2D" | "38" | "39" | "3B" | "42" | "54" | "55" | "P0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Status as PostgREST gives it, code, message, and whether it passes: one of every class that an insert may meet,
    /// and all of PostgREST's own.
    pub(crate) const DATABASE_ERRORS: &[(u16, &str, &str, bool)] = &[
        (503, "08000", "connection exception", true),
        (503, "08003", "connection does not exist", true),
        (503, "08006", "connection failure", true),
        (503, "08P01", "protocol violation", true),
        (500, "09000", "triggered action exception", false),
        (400, "0A000", "cannot insert into a foreign table", false),
        (400, "0A000", "cached plan must not change result type", true),
        (403, "0LP01", "invalid grant operation", false),
        (403, "0P000", "invalid role specification", false),
        (400, "21000", "cardinality violation", false),
        (400, "22001", "value too long for type character varying(8)", false),
        (400, "22003", "value out of range", false),
        (400, "22023", "invalid parameter value", false),
        (400, "22P02", "invalid input syntax for type uuid", false),
        (400, "22P05", "unsupported Unicode escape sequence", false),
        (400, "23502", "null value violates not-null constraint", false),
        (409, "23503", "violates foreign key constraint", false),
        (400, "23514", "violates check constraint", false),
        (400, "23P01", "conflicting key value violates exclusion constraint", false),
        (405, "25006", "cannot execute INSERT in a read-only transaction", true),
        (500, "25001", "active SQL transaction", true),
        (500, "25P02", "current transaction is aborted", true),
        (500, "25P03", "idle-in-transaction timeout", true),
        (500, "25P04", "transaction timeout", true),
        (400, "26000", "prepared statement does not exist", true),
        (403, "28000", "invalid authorization specification", false),
        (403, "28P01", "password authentication failed", false),
        (500, "2D000", "invalid transaction termination", false),
        (500, "38000", "external routine exception", false),
        (500, "39000", "external routine invocation exception", false),
        (500, "3B000", "savepoint exception", false),
        (400, "3D000", "invalid catalog name", false),
        (400, "3F000", "schema does not exist", false),
        (500, "40000", "transaction rollback", true),
        (500, "40001", "could not serialize access", true),
        (500, "40P01", "deadlock detected", true),
        (400, "42703", "column does not exist", false),
        (404, "42883", "function does not exist", false),
        (400, "42P05", "prepared statement already exists", true),
        (400, "42P10", "no unique constraint matching the ON CONFLICT specification", false),
        (500, "42P17", "infinite recursion detected in policy for relation \"images\"", false),
        (400, "44000", "violates check option", false),
        (503, "53000", "insufficient resources", true),
        (503, "53100", "could not extend file: No space left on device", true),
        (503, "53200", "out of memory", true),
        (503, "53300", "too many connections", true),
        (500, "53400", "configuration limit exceeded", true),
        (500, "54000", "index row size exceeds btree maximum", false),
        (500, "54000", "database is not accepting commands that assign new XIDs", true),
        (500, "54001", "stack depth limit exceeded", false),
        (500, "54023", "too many arguments", false),
        (500, "55000", "cannot insert into view", false),
        (500, "55006", "object in use", true),
        (500, "55P03", "could not obtain lock", true),
        (500, "55P04", "unsafe use of new value of enum type", false),
        (500, "57000", "operator intervention", true),
        (500, "57014", "canceling statement due to statement timeout", true),
        (503, "57P01", "terminating connection due to administrator command", true),
        (500, "57P02", "crash shutdown", true),
        (500, "57P03", "the database system is starting up", true),
        (500, "57P04", "database dropped", true),
        (500, "57P05", "idle session timeout", true),
        (500, "58000", "system error", true),
        (500, "58030", "could not read block: I/O error", true),
        (500, "58P01", "undefined file", true),
        (400, "72000", "snapshot too old", true),
        (500, "F0000", "configuration file error", true),
        (500, "HV00N", "could not connect to server", true),
        (400, "P0001", "no more images this month", false),
        (500, "P0002", "no data found", false),
        (500, "P0003", "too many rows", false),
        (500, "P0004", "assertion failed", false),
        (500, "XX000", "cache lookup failed", true),
        (500, "XX001", "data corrupted", true),
        (500, "XX002", "index corrupted", true),
        (402, "PT402", "payment required", false),
        (503, "PT503", "closed for today", true),
        (503, "PGRST000", "could not connect with the database", true),
        (503, "PGRST001", "could not connect with the database", true),
        (503, "PGRST002", "could not query the database for the schema cache", true),
        (504, "PGRST003", "timed out acquiring connection from connection pool", true),
        (400, "PGRST100", "could not parse the query string", false),
        (405, "PGRST101", "invalid function method", false),
        (400, "PGRST102", "empty or invalid json", false),
        (416, "PGRST103", "invalid range", false),
        (405, "PGRST105", "invalid PUT request", false),
        (415, "PGRST107", "invalid content type", false),
        (400, "PGRST108", "filter on an embedded resource", false),
        (500, "PGRST111", "response.headers guc must be a JSON array", false),
        (500, "PGRST112", "response.status guc must be a valid status code", false),
        (400, "PGRST114", "invalid upsert by PUT", false),
        (400, "PGRST115", "invalid upsert by PUT", false),
        (406, "PGRST116", "not one row", false),
        (405, "PGRST117", "unsupported method", false),
        (400, "PGRST118", "no order by that relation", false),
        (400, "PGRST120", "no such filter of an embedded resource", false),
        (500, "PGRST121", "could not parse JSON in the RAISE SQLSTATE 'PGRST' error", false),
        (400, "PGRST122", "invalid preferences", false),
        (400, "PGRST123", "aggregate functions are not allowed", false),
        (400, "PGRST124", "too many rows affected", false),
        (404, "PGRST125", "invalid path", false),
        (404, "PGRST126", "root endpoint metadata is disabled", false),
        (400, "PGRST127", "feature not implemented", false),
        (400, "PGRST128", "too many rows affected", false),
        (400, "PGRST200", "no relationship", false),
        (300, "PGRST201", "more than one relationship", false),
        (404, "PGRST202", "no function", false),
        (300, "PGRST203", "more than one function", false),
        (400, "PGRST204", "no column", false),
        (500, "PGRST300", "server lacks JWT secret", true),
        (500, "PGRSTX00", "internal error", true),
    ];

    #[test]
    fn other_services_codes_are_none_of_the_databases() {
        for code in ["", "NoSuchKey", "AccessDenied", "ä€", "0", "InvalidKey", "40", "400010"] {
            assert_eq!(passes(code, "cached plan"), None, "{code}");
        }
    }
}
