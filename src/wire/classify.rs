//! What an answer without success means, for Storage, PostgREST and the gateway before them.
//!
//! Source: the servers' contract as measured, see docs/contract.md. Storage sends most errors as HTTP 400 with the real
//! status in the body.

use crate::error::{Code, Error, Stage};
use crate::json::{self, Json};
use crate::text::{contains, name, quote, split_once};
use crate::wire::http::{Failure, Response};
use crate::wire::sqlstate;

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
pub struct Refusal {
    /// What the caller would hear.
    pub error: Error,
    /// What may mend it.
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

    /// Something that may be another way in a while.
    pub fn passing(error: Error) -> Self {
        Self::new(error, Remedy::Wait)
    }

    /// The library itself won't try again, but the caller's next call may succeed.
    pub fn retryable(mut self) -> Self {
        self.error.retryable = true;
        self
    }

    /// A refusal of the token in words that speak of something else.
    pub fn of_token(stage: Stage, response: &Response) -> Self {
        let mut refusal = of_response(stage, response);
        refusal.error.code = Code::Unauthorized;
        refusal.error.message = format!(
            "{}: {}: the token was refused, or the bucket is gone ({})",
            stage.label(),
            response.status,
            words(response)
        );
        Self { remedy: Remedy::FreshToken, ..refusal }
    }

    /// Answers that can't all be true.
    pub fn contradictory(stage: Stage, problem: &str) -> Self {
        Self::passing(Error::new(stage, Code::BadResponse, format!("{}: {problem}", stage.label())))
    }

    /// A successful status with an answer that the service never gives. A gateway or a broken connection made it, and
    /// whether the request was carried out is open, so it is worth another try.
    pub fn garbled(stage: Stage, response: &Response, problem: &str) -> Self {
        let message = format!("{problem} (body: {})", quote(&response.body));
        let mut error = Error::new(stage, Code::BadResponse, message);
        error.status = Some(response.status);
        Self::passing(error)
    }
}

/// The attempt got no answer.
pub fn of_failure(stage: Stage, failure: Failure) -> Refusal {
    let (code, problem, cause) = match failure {
        Failure::Network(problem, cause) => (Code::Network, quote(&problem), cause),
        Failure::Timeout => (Code::Timeout, "no answer in time".to_owned(), None),
        Failure::Redirect => (Code::BadResponse, format!("{REDIRECT}. {REDIRECT_ADVICE}"), None),
        Failure::TooLong => return too_long(stage),
        Failure::Image(problem, cause) => return Refusal::last(Error::image(&quote(&problem)).with_cause(cause)),
        Failure::CalledOff(cause) => (Code::Aborted, "the host's framework has ended it".to_owned(), cause),
    };
    let message = format!("{}: {problem}", stage.label());
    let is_passing = matches!(code, Code::Network | Code::Timeout);
    let remedy = if is_passing { Remedy::Wait } else { Remedy::None };
    Refusal::new(Error::new(stage, code, message).with_cause(cause), remedy)
}

/// Of a page its rows are to blame, however often it is asked for. Nothing else that a service answers is nearly as long: it is some
/// other server's, as a refusal without the service's words is, and not worth as many bytes once more.
fn too_long(stage: Stage) -> Refusal {
    let is_page = stage == Stage::List;
    let advice = if is_page { "Ask for fewer rows: limit" } else { REDIRECT_ADVICE };
    let message = format!("{}: the answer is too long to be read. {advice}", stage.label());
    let mut error = Error::new(stage, Code::BadResponse, message);
    if is_page {
        return Refusal::last(error.with_field("limit"));
    }
    error.turned_away = true;
    Refusal::last(error).retryable()
}

const REDIRECT: &str = "the answer is a redirect, which is not followed";
/// A project's own services answer no redirects: it is a proxy before them, a captive portal, or another host altogether.
const REDIRECT_ADVICE: &str = "Is `url` the project's own address?";

/// A hosted project whose owner is over the plan's limits, or behind with bills, answers every request with 402 till that is
/// put right: no image is to blame (<https://supabase.com/docs/guides/platform/http-status-codes>).
const RESTRICTED_ADVICE: &str = "Supabase restricts the project: see usage and billing in its dashboard";

fn is_redirect(status: u16) -> bool {
    (300..400).contains(&status)
}

/// The attempt got an answer of Supabase's, or of a gateway before it, whose status is not 2xx.
pub fn of_response(stage: Stage, response: &Response) -> Refusal {
    judged(stage, response, Told::read(response))
}

/// The same of the Worker, whose word is known by its type (RFC 9457). Anything else is a gateway's.
pub fn of_worker(stage: Stage, response: &Response) -> Refusal {
    let told = if response.is_problem() { Told::read(response) } else { Told::default() };
    judged(stage, response, told)
}

fn judged(stage: Stage, response: &Response, told: Told) -> Refusal {
    // Storage's real status would be in the part of the body that is missing.
    let is_cut = response.status == 400 && response.json.is_none() && response.body.starts_with('{');
    // PT402 is what a function of the project's own raises.
    let is_restricted = response.status == 402 && !told.is_problem && told.code != "PT402";
    let turned_away = is_restricted || !told.is_service && !is_cut && turns_away(response.status);
    let (code, remedy) = match (is_cut, turned_away) {
        (true, _) => (Code::BadResponse, Remedy::Wait),
        // It may pass, but not within a call: whoever dislikes the bytes, or waits for a login, does so a second later too.
        (_, true) => (Code::Unavailable, Remedy::None),
        _ => judge(stage, response.status, &told),
    };
    let separator = if stage == Stage::Sign { " " } else { ": " };
    let said = if is_redirect(response.status) { REDIRECT.to_owned() } else { words(response) };
    let mut message = format!("{}{separator}{}: {said}", stage.label(), response.status);
    let advice = if is_redirect(response.status) {
        Some(REDIRECT_ADVICE)
    } else if is_restricted {
        Some(RESTRICTED_ADVICE)
    } else {
        advice(stage, code, &told)
    };
    if let Some(advice) = advice {
        message.push_str(". ");
        message.push_str(advice);
    }
    let mut error = Error::new(stage, code, message);
    error.field = told.field.clone();
    error.status = Some(response.status);
    error.server_code = Some(quote(&told.code)).filter(|code| !code.is_empty());
    error.turned_away = turned_away;
    let mut refusal = Refusal::new(error, remedy);
    refusal.error.retryable |= turned_away;
    refusal.retry_after = response
        .header("retry-after")
        .map(|value| Box::new((value.to_owned(), response.header("date").map(str::to_owned))));
    refusal
}

/// Whether a gateway, a firewall or a captive portal answers so of itself: without the service's JSON it is no word on the
/// token, a policy or the request. Of a limit, a wait and a missing route its own word counts.
fn turns_away(status: u16) -> bool {
    matches!(status, 400..500) && !matches!(status, 404 | 405 | 408 | 410 | 413 | 425 | 429)
}

/// An error's body for its message. PostgREST's `details` and `hint` quote the row that failed, prompt and all, and other
/// rows' values: of its errors only code and message are told.
fn words(response: &Response) -> String {
    let quotes_rows = |name| response.json.as_ref().is_some_and(|body| body.get(name).is_some());
    match response.json.as_ref().and_then(|body| body.text("code")) {
        Some(code) if quotes_rows("details") || quotes_rows("hint") => {
            let message = response.json.as_ref().and_then(|body| body.text("message")).unwrap_or_default();
            quote(&format!("{{\"code\":{},\"message\":{}}}", json::quote(code), json::quote(message)))
        }
        // Cut short, with `details` before the cut.
        None if response.json.is_none() && response.body.starts_with('{') => {
            let before = split_once(&response.body, "\"details\"").map_or(response.body.as_str(), |(before, _)| before);
            quote(before)
        }
        _ => quote(&response.body),
    }
}

/// What the body of an error says.
#[derive(Default)]
pub(super) struct Told {
    /// Storage's `code` or `error`, PostgREST's `code`.
    pub(super) code: String,
    message: String,
    /// Storage's own status, in the body of an HTTP 400.
    pub(super) status: Option<u16>,
    /// Whether the Worker says so (RFC 9457): its codes are its own.
    is_problem: bool,
    /// Whether one of the services says so, or the gateway that checks keys for them, by a JSON object that tells why.
    is_service: bool,
    /// Whether it can only be one of the services.
    pub(super) is_own: bool,
    /// The field of the request at fault, if it is one's.
    field: Option<String>,
}

impl Told {
    pub(super) fn read(response: &Response) -> Self {
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
        let is_problem = response.is_problem();
        let is_service = is_problem || code.is_some() || !message.is_empty();
        let is_own = is_problem || status.is_some() || body.text("code").is_some() || contains(message, "not found");
        let field = body.text("field").filter(|_| is_problem).map(name);
        Self {
            code: code.unwrap_or_default().to_owned(),
            message: message.to_owned(),
            status,
            is_problem,
            is_service,
            is_own,
            field,
        }
    }

    pub(super) fn says(&self, words: &str) -> bool {
        contains(&self.message.to_ascii_lowercase(), words)
    }

    /// Whether the server's clock is behind that of who signed the token, by a moment: PostgREST's words, then Storage's.
    fn is_too_early(&self) -> bool {
        ["issued at future", "not yet valid", "\"nbf\" claim", "\"iat\" claim"].iter().any(|words| self.says(words))
    }

    /// Whether a policy reads the table that it is for, which no try will mend.
    fn is_circular_policy(&self) -> bool {
        self.code == "42P17" || self.says("infinite recursion detected in policy")
    }
}

/// What the Worker's word for what it refuses for good means, where its status does not say it.
pub fn of_problem(code: &str) -> Option<Code> {
    Some(match code {
        "invalid_request" => Code::InvalidRequest,
        "invalid_image" => Code::InvalidImage,
        "too_large" => Code::TooLarge,
        "id_taken" => Code::IdTaken,
        "image_removed" => Code::ObjectMissing,
        "not_found" => Code::Rejected,
        _ => return None,
    })
}

/// One table for all services: their codes don't overlap.
fn judge(stage: Stage, http_status: u16, told: &Told) -> (Code, Remedy) {
    let status = if http_status == 400 { told.status.unwrap_or(400) } else { http_status };
    let code = told.code.as_str();
    if told.is_problem {
        match of_problem(code) {
            Some(code) => return (code, Remedy::None),
            None if status == 403 => return (Code::Forbidden, Remedy::None),
            None => {}
        }
    }
    if told.is_circular_policy() {
        return (Code::Rejected, Remedy::None);
    }
    match code {
        "PGRST106" => return (Code::SchemaNotExposed, Remedy::None),
        "PGRST205" | "42P01" => return (Code::TableMissing, Remedy::None),
        "PGRST301" | "PGRST302" | "PGRST303" if told.is_too_early() => return (Code::Unauthorized, Remedy::Wait),
        "PGRST301" | "PGRST302" | "PGRST303" => return (Code::Unauthorized, Remedy::FreshToken),
        "23505" => return (Code::IdTaken, Remedy::None),
        "42501" => return (Code::Forbidden, Remedy::None),
        "NoSuchBucket" => return (Code::BucketMissing, Remedy::None),
        "LockTimeout" | "DatabaseReadOnly" | "SlowDown" => return (Code::Unavailable, Remedy::Wait),
        _ => {}
    }
    match sqlstate::passes(code, &told.message.to_ascii_lowercase()) {
        Some(true) => return (Code::Unavailable, Remedy::Wait),
        Some(false) => return (Code::Rejected, Remedy::None),
        None => {}
    }
    match status {
        429 => (Code::RateLimited, Remedy::Wait),
        408 | 425 | 500.. => (Code::Unavailable, Remedy::Wait),
        // Of a gateway that knows no route to the service, for as long as they are renewed.
        404 | 405 | 410 if !told.is_own => (Code::Unavailable, Remedy::Wait),
        409 if stage == Stage::Insert && code.is_empty() => (Code::IdTaken, Remedy::None),
        401 if told.says("api key") => (Code::Unauthorized, Remedy::None),
        401 | 403 if told.is_too_early() => (Code::Unauthorized, Remedy::Wait),
        401 => (Code::Unauthorized, Remedy::FreshToken),
        403 if stage == Stage::Insert || told.says("row-level security") => (Code::Forbidden, Remedy::None),
        // Storage refuses a bad token and a bad policy with the same status; only the messages differ.
        403 => (Code::Unauthorized, Remedy::FreshToken),
        404 if told.says("bucket not found") => (Code::BucketMissing, Remedy::None),
        404 if matches!(stage, Stage::Sign | Stage::Remove) || told.says("object not found") => {
            (Code::ObjectMissing, Remedy::None)
        }
        413 => (Code::TooLarge, Remedy::None),
        415 => (Code::TypeNotAllowed, Remedy::None),
        400..500 => (Code::Rejected, Remedy::None),
        300..400 => (Code::BadResponse, Remedy::None),
        // An informational answer.
        _ => (Code::BadResponse, Remedy::Wait),
    }
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
        Code::Unauthorized if told.is_too_early() => {
            "The token begins in the server's future: wait a moment, or look at the clock of whoever signs it"
        }
        Code::Unauthorized => "The server refused the token: is it expired, or of another project?",
        Code::Forbidden => {
            "A policy or a missing grant refuses: ownerUserId, and pathPrefix where it is given, must be the signed-in user's id"
        }
        Code::TooLarge => "The bucket's or the project's size limit is lower than the image",
        Code::TypeNotAllowed => "The bucket's list of MIME types does not hold this one",
        Code::Rejected if told.is_circular_policy() => {
            "A policy reads the table that it is for: have it ask a security definer function instead"
        }
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

    #[test]
    fn a_redirect_is_final_and_asks_for_the_address() {
        let seen = of_failure(Stage::Upload, Failure::Redirect);
        let read = refusal(Stage::Upload, 307, "<a href=\"https://elsewhere.example\">moved</a>");
        for (found, status) in [(seen, None), (read, Some(307))] {
            assert_eq!((found.error.code, found.error.status, found.remedy), (Code::BadResponse, status, Remedy::None));
            assert!(
                !found.error.retryable && found.error.message.ends_with(REDIRECT_ADVICE),
                "{}",
                found.error.message
            );
        }
    }

    #[test]
    fn rows_that_are_too_long_to_be_read_are_asked_for_in_smaller_pages() {
        let list = of_failure(Stage::List, Failure::TooLong);
        assert_eq!((list.error.code, list.error.field.as_deref()), (Code::BadResponse, Some("limit")));
        assert_eq!((list.remedy, list.error.retryable), (Remedy::None, false));
    }

    #[test]
    fn an_answer_that_is_too_long_for_any_service_is_another_servers() {
        for stage in [Stage::Upload, Stage::Insert, Stage::Sign, Stage::Remove] {
            let Refusal { error, remedy, .. } = of_failure(stage, Failure::TooLong);
            assert_eq!((error.code, error.field.as_deref(), remedy), (Code::BadResponse, None, Remedy::None));
            assert!(error.retryable && error.turned_away, "an outbox keeps the image");
            assert!(error.message.ends_with(REDIRECT_ADVICE), "{}", error.message);
        }
    }

    #[test]
    fn an_image_that_changed_and_a_call_that_is_called_off_are_not_tried_again() {
        let changed = of_failure(Stage::Upload, Failure::Image("has changed".to_owned(), None));
        assert_eq!((changed.error.code, changed.error.field.as_deref()), (Code::InvalidImage, Some("image")));
        let called_off = of_failure(Stage::Insert, Failure::CalledOff(None));
        assert_eq!((changed.remedy, called_off.remedy), (Remedy::None, Remedy::None));
    }

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
            (413, (Code::TooLarge, None)),
            (408, (Code::Unavailable, Wait)),
            (425, (Code::Unavailable, Wait)),
            (429, (Code::RateLimited, Wait)),
            (500, (Code::Unavailable, Wait)),
            (544, (Code::Unavailable, Wait)),
            (304, (Code::BadResponse, None)),
        ] {
            let refusal = refusal(Stage::Insert, status, "<html>");
            assert_eq!((refusal.error.code, refusal.remedy), wanted, "{status}");
        }
        let unknown_key = refusal(Stage::Upload, 401, r#"{"message":"Invalid API key"}"#);
        assert_eq!((unknown_key.error.code, unknown_key.remedy), (Code::Unauthorized, None));
    }

    #[test]
    fn each_of_the_databases_errors_passes_or_is_final() {
        for (status, code, message, passes) in sqlstate::tests::DATABASE_ERRORS {
            let body = format!(r#"{{"code":"{code}","message":{},"details":null,"hint":null}}"#, json::quote(message));
            let refusal = refusal(Stage::Insert, *status, &body);
            let wanted = if *passes { Remedy::Wait } else { Remedy::None };
            assert_eq!((refusal.remedy, refusal.error.retryable), (wanted, *passes), "{code} {message}");
            assert_eq!(refusal.error.code == Code::Unavailable, *passes, "{code} {message}");
        }
    }

    #[test]
    fn a_policy_that_calls_itself_is_final_with_advice() {
        let words = r#"infinite recursion detected in policy for relation \"images\""#;
        for (stage, body) in [
            (Stage::Insert, format!(r#"{{"code":"42P17","message":"{words}","details":null,"hint":null}}"#)),
            (Stage::Upload, storage("500", "DatabaseError", words)),
        ] {
            let refusal = refusal(stage, 500, &body);
            assert_eq!((refusal.error.code, refusal.remedy), (Code::Rejected, Remedy::None));
            assert!(refusal.error.message.contains("security definer"), "{}", refusal.error.message);
        }
    }

    #[test]
    fn a_token_of_the_servers_future_is_waited_for() {
        for (stage, status, body) in [
            (Stage::Insert, 401, r#"{"code":"PGRST303","message":"JWT issued at future"}"#.to_owned()),
            (Stage::Insert, 401, r#"{"code":"PGRST301","message":"JWT issued at future"}"#.to_owned()),
            (Stage::Insert, 401, r#"{"code":"PGRST303","message":"JWT not yet valid"}"#.to_owned()),
            (Stage::Upload, 400, storage("403", "AccessDenied", r#"\"nbf\" claim timestamp check failed"#)),
        ] {
            let refusal = refusal(stage, status, &body);
            assert_eq!((refusal.error.code, refusal.remedy), (Code::Unauthorized, Remedy::Wait), "{body}");
            assert!(refusal.error.retryable && refusal.error.message.contains("clock"), "{}", refusal.error.message);
        }
    }

    #[test]
    fn a_gateways_own_refusal_is_no_word_on_the_token() {
        for stage in [Stage::Upload, Stage::Insert, Stage::Sign] {
            for status in [400, 401, 402, 403, 406, 407, 409, 411, 412, 414, 415, 416, 421, 422, 451] {
                for body in ["<html>Blocked</html>", "", "Forbidden", "[]", "{}", r#"{"error":{"id":1}}"#, "null"] {
                    let refusal = refusal(stage, status, body);
                    let told = (refusal.error.code, refusal.remedy, refusal.error.retryable);
                    assert_eq!(told, (Code::Unavailable, Remedy::None, true), "{status} {body}");
                    assert!(refusal.error.turned_away && refusal.error.server_code.is_none());
                }
            }
        }
        let restricted = r#"{"message":"Service for this project is restricted: exceed_egress_quota"}"#;
        for stage in [Stage::Upload, Stage::Insert, Stage::Sign, Stage::List, Stage::Remove] {
            let Refusal { error, remedy, .. } = refusal(stage, 402, restricted);
            assert_eq!((error.code, remedy, error.retryable), (Code::Unavailable, Remedy::None, true));
            assert!(
                error.turned_away && error.message.contains("exceed_egress_quota") && error.message.contains("billing")
            );
        }
        for status in [404, 405, 410] {
            for body in [
                "<html>Not Found</html>",
                "404 page not found\n",
                r#"{"message":"no Route matched with those values"}"#,
            ] {
                for stage in [Stage::Upload, Stage::Insert, Stage::Sign, Stage::List, Stage::Remove] {
                    let refusal = refusal(stage, status, body);
                    assert_eq!(
                        (refusal.error.code, refusal.remedy),
                        (Code::Unavailable, Remedy::Wait),
                        "{status} {body}"
                    );
                    assert!(refusal.error.retryable && !refusal.error.turned_away, "{status} {body}");
                }
            }
        }
        for body in [r#"{"message":"Unauthorized"}"#, r#"{"code":"x"}"#, r#"{"error":"x"}"#] {
            let refusal = refusal(Stage::Upload, 401, body);
            assert_eq!((refusal.error.code, refusal.error.turned_away), (Code::Unauthorized, false), "{body}");
        }
    }

    #[test]
    fn only_a_problem_is_the_workers_word() {
        let body = r#"{"code":"id_taken","detail":"x","field":"imageId","requestId":"r"}"#;
        let json = crate::json::tests::parse(body);
        let answer = |status, content_type: &str| Response {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.to_owned(),
            json: json.clone(),
        };
        for content_type in ["application/problem+json", "Application/Problem+JSON; charset=utf-8"] {
            let error = of_worker(Stage::Upload, &answer(409, content_type)).error;
            assert_eq!((error.code, error.field.as_deref()), (Code::IdTaken, Some("imageId")), "{content_type}");
        }
        for content_type in ["application/json", "application/problem+json-seq", "text/html", ""] {
            let error = of_worker(Stage::Upload, &answer(409, content_type)).error;
            let told = (error.code, error.turned_away, error.field.as_deref());
            assert_eq!(told, (Code::Unavailable, true, Option::None), "{content_type}");
            let error = of_worker(Stage::Upload, &answer(401, content_type)).error;
            assert_eq!((error.code, error.turned_away), (Code::Unavailable, true), "{content_type}");
        }
    }

    #[test]
    fn an_image_that_its_user_removed_at_the_worker_is_not_sent_again() {
        let body = r#"{"code":"image_removed","detail":"x","imageId":"i","requestId":"r"}"#;
        let answer = Response {
            status: 410,
            headers: vec![("content-type", "application/problem+json".to_owned())],
            body: body.to_owned(),
            json: crate::json::tests::parse(body),
        };
        let refused = of_worker(Stage::Upload, &answer).error;
        assert_eq!((refused.code, refused.retryable), (Code::ObjectMissing, false));
        assert_eq!(refused.server_code.as_deref(), Some("image_removed"));
    }

    #[test]
    fn what_quotes_a_row_is_in_no_message() {
        let whole = r#"{"code":"23514","details":"Failing row contains (1, a secret prompt).","hint":"a secret","message":"violates \"c\""}"#;
        let message = &refusal(Stage::Insert, 400, whole).error.message;
        assert_eq!(message, r#"db insert: 400: {"code":"23514","message":"violates \"c\""}"#);
        for end in 1..whole.len() {
            let message = &refusal(Stage::Insert, 400, &whole[..end]).error.message;
            assert!(!message.contains("secret"), "{message}");
        }
        for other in [r#"{"message":"x", "hint":"Double check"}"#, r#"{"statusCode":"400","error":"x","message":"y"}"#]
        {
            assert_eq!(refusal(Stage::Insert, 400, other).error.message, format!("db insert: 400: {other}"));
        }
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
