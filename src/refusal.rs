//! What an answer without success means, for Storage, PostgREST and the gateway before them.
//!
//! Source: the servers' contract as measured, see docs/contract.md. Storage sends most errors as HTTP 400 with the real
//! status in the body.

use crate::error::{Code, Error, Stage};
use crate::http::{Failure, Response};
use crate::json::Json;
use crate::text::{contains, name, quote};

/// What may mend a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing that the library could do.
    None,
    /// Time.
    Wait,
    /// Another access token.
    FreshToken,
}

/// An attempt that failed: the error it would be, and what may mend it.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Refusal {
    pub error: Error,
    pub remedy: Remedy,
    /// The answer's `Retry-After` and `Date`, as they stand.
    pub retry_after: Option<Box<(String, Option<String>)>>,
}

impl Refusal {
    fn new(mut error: Error, remedy: Remedy) -> Self {
        error.retryable = remedy == Remedy::Wait;
        Self { error, remedy, retry_after: None }
    }

    /// Something that trying again won't mend.
    pub fn last(error: Error) -> Self {
        Self::new(error, Remedy::None)
    }

    /// The library itself won't try again, but the caller's next call may succeed.
    pub fn retryable(mut self) -> Self {
        self.error.retryable = true;
        self
    }

    /// Answers that can't all be true.
    pub fn contradictory(stage: Stage, problem: &str) -> Self {
        Self::new(Error::new(stage, Code::BadResponse, format!("{}: {problem}", stage.label())), Remedy::Wait)
    }

    /// A successful status with an answer that the service never gives. A gateway or a broken connection made it, and
    /// whether the request was carried out is open, so it is worth another try.
    pub fn garbled(stage: Stage, response: &Response, problem: &str) -> Self {
        let message = format!("{problem} (body: {})", quote(&response.body));
        let mut error = Error::new(stage, Code::BadResponse, message);
        error.status = Some(response.status);
        Self::new(error, Remedy::Wait)
    }
}

/// The attempt got no answer.
pub fn of_failure(stage: Stage, failure: Failure) -> Refusal {
    let (code, problem, cause) = match failure {
        Failure::Network(problem, cause) => (Code::Network, quote(&problem), cause),
        Failure::Timeout => (Code::Timeout, "no answer in time".to_owned(), None),
    };
    let message = format!("{}: {problem}", stage.label());
    Refusal::new(Error::new(stage, code, message).with_cause(cause), Remedy::Wait)
}

/// The attempt got an answer whose status is not 2xx.
pub fn of_response(stage: Stage, response: &Response) -> Refusal {
    let told = Told::read(response);
    // Storage's real status would be in the part of the body that is missing.
    let is_cut = response.status == 400 && response.json.is_none() && response.body.starts_with('{');
    let (code, remedy) = if is_cut { (Code::BadResponse, Remedy::Wait) } else { judge(stage, response.status, &told) };
    let separator = if stage == Stage::Sign { " " } else { ": " };
    let mut message = format!("{}{separator}{}: {}", stage.label(), response.status, quote(&response.body));
    if let Some(advice) = advice(stage, code, &told) {
        message.push_str(". ");
        message.push_str(advice);
    }
    let mut error = Error::new(stage, code, message);
    error.field = told.field.clone();
    error.status = Some(response.status);
    error.server_code = Some(quote(&told.code)).filter(|code| !code.is_empty());
    let mut refusal = Refusal::new(error, remedy);
    refusal.retry_after = response
        .header("retry-after")
        .map(|value| Box::new((value.to_owned(), response.header("date").map(str::to_owned))));
    refusal
}

/// What the body of an error says.
#[derive(Default)]
struct Told {
    /// Storage's `code` or `error`, PostgREST's `code`.
    code: String,
    message: String,
    /// Storage's own status, in the body of an HTTP 400.
    status: Option<u16>,
    /// Whether the Worker says so (RFC 9457): its codes are its own.
    is_problem: bool,
    /// The field of the request at fault, if it is one's.
    field: Option<String>,
}

impl Told {
    fn read(response: &Response) -> Self {
        let Some(body) = &response.json else {
            return Self::default();
        };
        let status = match body.get("statusCode") {
            Some(Json::Text(text)) => text.parse().ok(),
            Some(Json::Number(number)) => Some(*number as u16),
            _ => None,
        };
        let code = ["code", "error"].into_iter().find_map(|name| body.text(name).filter(|code| !code.is_empty()));
        let message = body.text("message").unwrap_or_default();
        let is_problem = body.text("requestId").is_some();
        let field = body.text("field").filter(|_| is_problem).map(name);
        Self { code: code.unwrap_or_default().to_owned(), message: message.to_owned(), status, is_problem, field }
    }

    fn says(&self, words: &str) -> bool {
        contains(&self.message.to_ascii_lowercase(), words)
    }
}

/// One table for all services: their codes don't overlap.
fn judge(stage: Stage, http_status: u16, told: &Told) -> (Code, Remedy) {
    let status = if http_status == 400 { told.status.unwrap_or(400) } else { http_status };
    let code = told.code.as_str();
    if told.is_problem {
        match code {
            "invalid_request" => return (Code::InvalidRequest, Remedy::None),
            "invalid_image" => return (Code::InvalidImage, Remedy::None),
            "id_taken" => return (Code::IdTaken, Remedy::None),
            "not_found" => return (Code::Rejected, Remedy::None),
            _ if status == 403 => return (Code::Forbidden, Remedy::None),
            _ => {}
        }
    }
    match code {
        "PGRST106" => return (Code::SchemaNotExposed, Remedy::None),
        "PGRST205" | "42P01" => return (Code::TableMissing, Remedy::None),
        "PGRST301" | "PGRST302" | "PGRST303" => return (Code::Unauthorized, Remedy::FreshToken),
        "23505" => return (Code::IdTaken, Remedy::None),
        "42501" => return (Code::Forbidden, Remedy::None),
        "NoSuchBucket" => return (Code::BucketMissing, Remedy::None),
        "LockTimeout" | "DatabaseReadOnly" | "SlowDown" => return (Code::Unavailable, Remedy::Wait),
        _ if is_passing_database_error(code) => return (Code::Unavailable, Remedy::Wait),
        _ => {}
    }
    match status {
        429 => (Code::RateLimited, Remedy::Wait),
        408 | 425 | 500.. => (Code::Unavailable, Remedy::Wait),
        409 if stage == Stage::Insert && code.is_empty() => (Code::IdTaken, Remedy::None),
        401 if told.says("api key") => (Code::Unauthorized, Remedy::None),
        401 => (Code::Unauthorized, Remedy::FreshToken),
        403 if stage == Stage::Insert || told.says("row-level security") => (Code::Forbidden, Remedy::None),
        // Storage refuses a bad token and a bad policy with the same status; only the messages differ.
        403 => (Code::Unauthorized, Remedy::FreshToken),
        404 if told.says("bucket not found") => (Code::BucketMissing, Remedy::None),
        404 if stage == Stage::Sign => (Code::ObjectMissing, Remedy::None),
        413 => (Code::TooLarge, Remedy::None),
        415 => (Code::TypeNotAllowed, Remedy::None),
        400..500 => (Code::Rejected, Remedy::None),
        // An informational answer or a redirect that nobody followed.
        _ => (Code::BadResponse, Remedy::Wait),
    }
}

/// Connection trouble, lack of resources, rollbacks and shutdowns: PostgREST's own codes and SQLSTATE classes.
fn is_passing_database_error(code: &str) -> bool {
    let sqlstate = code.len() == 5;
    matches!(code, "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" | "57014")
        || sqlstate && ["08", "40", "53", "57P"].iter().any(|class| code.starts_with(class))
}

/// What to do about the usual mistakes of setting up.
fn advice(stage: Stage, code: Code, told: &Told) -> Option<&'static str> {
    Some(match code {
        Code::Unauthorized if told.says("api key") => "The gateway does not know apiKey: is it this project's?",
        // A bare status is a gateway's or a proxy's word: no ground for advice. The Worker gives its own.
        _ if told.code.is_empty() || told.is_problem => return None,
        Code::SchemaNotExposed => {
            "Add the schema (imagen by default) to the project's exposed schemas: API settings, \"Exposed schemas\""
        }
        Code::TableMissing => "Run the migration in supabase/migrations, or check the options schema and table",
        Code::BucketMissing => "Run the migration in supabase/migrations, or check the option bucket",
        Code::Unauthorized => "The server refused the token: is it expired, or of another project?",
        Code::Forbidden => {
            "A policy or a missing grant refuses: pathPrefix and ownerUserId must both be the signed-in user's id"
        }
        Code::TooLarge => "The bucket's or the project's size limit is lower than the image",
        Code::TypeNotAllowed => "The bucket's list of MIME types does not hold this one",
        Code::Rejected if told.code == "PGRST204" => {
            "The table lacks a column: run the migration in supabase/migrations"
        }
        Code::Rejected if told.code == "23503" => "Is ownerUserId a user of this project?",
        Code::Rejected if stage == Stage::Upload && told.code == "InvalidKey" => {
            "Storage allows only letters, digits and !-_.*'() &$@=;:+,?/ of ASCII in a path"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(stage: Stage, status: u16, body: &str) -> Refusal {
        let json = crate::json::tests::parse(body);
        of_response(stage, &Response { status, body: body.to_owned(), json, ..Response::default() })
    }

    fn storage(status: &str, code: &str, message: &str) -> String {
        format!(r#"{{"statusCode":"{status}","error":"x","message":"{message}","code":"{code}"}}"#)
    }

    #[test]
    fn storage_tells_the_real_status_in_the_body_of_a_400() {
        use Remedy::*;
        for (status, code, message, wanted) in [
            ("503", "LockTimeout", "", (Code::Unavailable, Wait)),
            ("503", "DatabaseReadOnly", "", (Code::Unavailable, Wait)),
            ("503", "", "", (Code::Unavailable, Wait)),
            ("544", "DatabaseTimeout", "", (Code::Unavailable, Wait)),
            ("429", "SlowDown", "", (Code::Unavailable, Wait)),
            ("429", "", "", (Code::RateLimited, Wait)),
            ("408", "", "", (Code::Unavailable, Wait)),
            ("425", "", "", (Code::Unavailable, Wait)),
            ("404", "NoSuchBucket", "Bucket not found", (Code::BucketMissing, None)),
            ("404", "", "Bucket not found", (Code::BucketMissing, None)),
            ("413", "EntityTooLarge", "", (Code::TooLarge, None)),
            ("415", "InvalidMimeType", "", (Code::TypeNotAllowed, None)),
            ("400", "InvalidKey", "", (Code::Rejected, None)),
            ("409", "KeyAlreadyExists", "", (Code::Rejected, None)),
            ("403", "AccessDenied", "new row violates row-level security policy", (Code::Forbidden, None)),
            ("403", "AccessDenied", "signature verification failed", (Code::Unauthorized, FreshToken)),
            ("403", "AccessDenied", "exp claim timestamp check failed", (Code::Unauthorized, FreshToken)),
            ("403", "AccessDenied", "Invalid Compact JWS", (Code::Unauthorized, FreshToken)),
        ] {
            let refusal = refusal(Stage::Upload, 400, &storage(status, code, message));
            assert_eq!((refusal.error.code, refusal.remedy), wanted, "{status} {code} {message}");
            assert_eq!(refusal.error.status, Some(400));
            assert_eq!(refusal.error.retryable, refusal.remedy == Wait);
        }
        let numeric = refusal(Stage::Upload, 400, r#"{"statusCode":503,"error":"x","message":"y"}"#);
        assert_eq!(numeric.remedy, Wait, "the router writes the status as a number");
    }

    #[test]
    fn the_database_tells_by_its_code() {
        use Remedy::*;
        for (status, code, wanted) in [
            (503, "PGRST000", (Code::Unavailable, Wait)),
            (503, "PGRST001", (Code::Unavailable, Wait)),
            (503, "PGRST002", (Code::Unavailable, Wait)),
            (504, "PGRST003", (Code::Unavailable, Wait)),
            (500, "40001", (Code::Unavailable, Wait)),
            (400, "40P01", (Code::Unavailable, Wait)),
            (500, "57014", (Code::Unavailable, Wait)),
            (503, "57P01", (Code::Unavailable, Wait)),
            (503, "53300", (Code::Unavailable, Wait)),
            (503, "08006", (Code::Unavailable, Wait)),
            (409, "23505", (Code::IdTaken, None)),
            (409, "23503", (Code::Rejected, None)),
            (403, "42501", (Code::Forbidden, None)),
            (401, "42501", (Code::Forbidden, None)),
            (400, "PGRST204", (Code::Rejected, None)),
            (404, "PGRST205", (Code::TableMissing, None)),
            (406, "PGRST106", (Code::SchemaNotExposed, None)),
            (401, "PGRST301", (Code::Unauthorized, FreshToken)),
            (401, "PGRST303", (Code::Unauthorized, FreshToken)),
        ] {
            let refusal = refusal(Stage::Insert, status, &format!(r#"{{"code":"{code}","message":"m"}}"#));
            assert_eq!((refusal.error.code, refusal.remedy), wanted, "{code}");
            assert_eq!(refusal.error.server_code.as_deref(), Some(code));
        }
    }

    #[test]
    fn a_status_alone_is_enough() {
        use Remedy::*;
        for (status, wanted) in [
            (401, (Code::Unauthorized, FreshToken)),
            (403, (Code::Forbidden, None)),
            (404, (Code::Rejected, None)),
            (408, (Code::Unavailable, Wait)),
            (425, (Code::Unavailable, Wait)),
            (429, (Code::RateLimited, Wait)),
            (500, (Code::Unavailable, Wait)),
            (544, (Code::Unavailable, Wait)),
            (304, (Code::BadResponse, Wait)),
        ] {
            let refusal = refusal(Stage::Insert, status, "<html>");
            assert_eq!((refusal.error.code, refusal.remedy), wanted, "{status}");
        }
        let unknown_key = refusal(Stage::Upload, 401, r#"{"message":"Invalid API key"}"#);
        assert_eq!((unknown_key.error.code, unknown_key.remedy), (Code::Unauthorized, None));
    }

    #[test]
    fn a_message_starts_with_the_servers_words_and_ends_with_advice() {
        let refusal = refusal(Stage::Insert, 406, r#"{"code":"PGRST106","message":"no schema"}"#);
        let message = &refusal.error.message;
        assert!(
            message.starts_with(r#"db insert: 406: {"code":"PGRST106","message":"no schema"}. Add the"#),
            "{message}"
        );
        assert_eq!(self::refusal(Stage::Sign, 500, "oops").error.message, "sign 500: oops");
    }
}
