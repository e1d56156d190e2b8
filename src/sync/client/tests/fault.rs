//! Everything that can happen to one request, and what the library has to make of it.

use core::fmt;

use super::world::{KEY, Step, answer_of};
use crate::error::Code;
use crate::wire::http::Response;

/// What the library has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after a wait of its own.
    Again,
    /// Try again after so many ms.
    After(u32),
    /// Give up, since the server asks for more ms than the longest wait.
    TooLong(u32),
    /// Try again with another token.
    FreshToken,
    /// Give up, but the next call may succeed.
    Later,
    /// Give up.
    Final,
}

/// How an exchange ends.
pub(crate) enum Break {
    Answer(Response),
    Cut(String),
    Silence,
}

/// The steps that a fault is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Anywhere,
    /// Not before the Worker, whose word has a type of its own.
    Supabase,
    Worker,
    Storage,
    Database,
    Resumable,
    /// Where such a status says nothing of an upload or an object.
    Whole,
    Only(Step),
}

/// What the other end gets to see.
#[derive(Clone, Copy)]
enum Sight {
    Cut(&'static str),
    Silence,
    Status(u16, &'static str),
    StatusAndHeaders(u16, &'static [(&'static str, &'static str)]),
    /// The first half of the real answer's body.
    Half,
    /// The real answer's status with another body.
    Instead(&'static str),
    /// A refusal that repeats the secrets it was sent.
    Echo,
    /// No answer, and a host that repeats the secrets it was to send.
    CutEcho,
}

/// One row of [`FAULTS`].
pub(crate) struct Case {
    name: &'static str,
    at: At,
    /// Whether the server carries the request out all the same.
    arrives: bool,
    sight: Sight,
    pub(crate) verdict: Verdict,
    /// The error's code, if this is the last attempt.
    pub(crate) code: Code,
}

pub(crate) type Fault = &'static Case;

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Case {
    /// The status that is seen, where it is not the real one.
    pub(crate) fn own_status(&self) -> Option<u16> {
        if self.keeps_status() { None } else { self.status(Step::Upload) }
    }

    pub(crate) fn arrives(&self) -> bool {
        self.arrives
    }

    /// The status that is seen, where the real one would mean success.
    pub(crate) fn status(&self, step: Step) -> Option<u16> {
        match self.sight {
            Sight::Cut(_) | Sight::CutEcho | Sight::Silence => None,
            Sight::Status(status, _) | Sight::StatusAndHeaders(status, _) => Some(status),
            Sight::Half | Sight::Instead(_) => Some(if step == Step::Insert { 201 } else { 200 }),
            Sight::Echo => Some(400),
        }
    }

    /// Whether the real answer's status gets through.
    pub(crate) fn keeps_status(&self) -> bool {
        matches!(self.sight, Sight::Half | Sight::Instead(_))
    }

    fn is_for(&self, step: Step) -> bool {
        match self.at {
            At::Anywhere => true,
            At::Supabase => !is_workers(step),
            At::Worker => is_workers(step),
            At::Storage => {
                let steps = [Step::Upload, Step::Sign, Step::SignMany, Step::Info, Step::RemoveObjects];
                steps.contains(&step) || is_resumable(step)
            }
            At::Database => {
                let reads = [Step::ReadBack, Step::ReadBackMany, Step::Namers, Step::List];
                reads.contains(&step)
                    || matches!(step, Step::Insert | Step::InsertMany | Step::RemoveRows | Step::RemoveUnseen)
            }
            At::Resumable => is_resumable(step),
            At::Whole => !is_resumable(step) && step != Step::Info,
            At::Only(only) => only == step,
        }
    }

    pub(crate) fn at(&self, step: Step, bearer: &str, served: Option<&Response>) -> Break {
        assert!(self.is_for(step), "{} at {step:?}", self.name);
        Break::Answer(match self.sight {
            Sight::Cut(problem) => return Break::Cut(problem.to_owned()),
            Sight::CutEcho => return Break::Cut(format!("cannot send Bearer {bearer}, {KEY}")),
            Sight::Silence => return Break::Silence,
            Sight::Status(status, body) => answer_of(status, body),
            Sight::StatusAndHeaders(status, headers) => {
                let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                Response { headers, ..answer_of(status, "<html>later</html>") }
            }
            Sight::Half => {
                let served = served.unwrap();
                answer_of(served.status, &served.body[..served.body.len() / 2])
            }
            Sight::Instead(body) => answer_of(served.unwrap().status, body),
            Sight::Echo => {
                let told = serde_json::json!({ "code": bearer, "message": format!("no {bearer} nor {}", KEY) });
                answer_of(400, &told.to_string())
            }
        })
    }
}

fn is_workers(step: Step) -> bool {
    let steps = [Step::Hand, Step::Ticket, Step::Commit, Step::Link, Step::HandRemoval, Step::Standing];
    steps.contains(&step)
}

fn is_resumable(step: Step) -> bool {
    matches!(step, Step::Create | Step::Piece | Step::Offset)
}

/// The faults that can happen at a step.
pub(crate) fn faults_at(step: Step) -> Vec<Fault> {
    FAULTS.iter().filter(|fault| fault.is_for(step)).collect()
}

/// The faults that can happen anywhere.
pub(crate) fn weather() -> Vec<Fault> {
    FAULTS.iter().filter(|fault| matches!(fault.at, At::Anywhere | At::Supabase)).collect()
}

/// The fault of that name.
pub(crate) fn fault(name: &str) -> Fault {
    FAULTS.iter().find(|fault| fault.name == name).unwrap()
}

macro_rules! faults {
    ($($name:literal: $at:expr, $arrives:ident, $sight:expr => $verdict:expr, $code:ident;)*) => {
        &[$(Case { name: $name, at: $at, arrives: faults!($arrives), sight: $sight, verdict: $verdict, code: Code::$code },)*]
    };
    (kept) => { true };
    (lost) => { false };
}

const PORTAL: &str = "<html><form action=\"http://wifi.example/login\">";
const NOW: &str = "Mon, 11 May 2026 00:00:00 GMT";
const IN_TWO_SECONDS: &str = "Mon, 11 May 2026 00:00:02 GMT";
const AN_HOUR_AHEAD: &str = "Mon, 11 May 2026 01:00:02 GMT";
const AN_HOUR_AHEAD_NOW: &str = "Mon, 11 May 2026 01:00:00 GMT";

use At::*;
use Sight::*;
use Verdict::*;

/// What is `lost` does not reach the server; what is `kept` is carried out, whatever the answer says.
#[rustfmt::skip]
const FAULTS: &[Case] = faults! {
    // The line.
    "cut before it arrives": Anywhere, lost, Cut("Failed to fetch") => Again, Network;
    "answer lost": Anywhere, kept, Cut("Failed to fetch") => Again, Network;
    "answer cut in its middle": Anywhere, kept, Cut("terminated (other side closed)") => Again, Network;
    "silence": Anywhere, lost, Silence => Again, Timeout;
    "silence after it arrived": Anywhere, kept, Silence => Again, Timeout;
    "half an answer": Anywhere, kept, Half => Again, BadResponse;
    "empty answer": Anywhere, kept, Instead("") => Again, BadResponse;
    "answer of a wrong shape": Anywhere, kept, Instead("{\"ok\":true}") => Again, BadResponse;
    "answer null": Anywhere, kept, Instead("null") => Again, BadResponse;
    "captive portal": Anywhere, lost, Status(200, PORTAL) => Again, BadResponse;
    "nothing inserted": Only(Step::Insert), lost, Status(201, "[]") => Again, BadResponse;
    "no row's id": Only(Step::Insert), kept, Status(201, "[{}]") => Again, BadResponse;
    // Gateways.
    "502": Anywhere, lost, Status(502, "<html>Bad gateway</html>") => Again, Unavailable;
    "504 after it arrived": Anywhere, kept, Status(504, "<html>Gateway time-out</html>") => Again, Unavailable;
    "503": Anywhere, lost, Status(503, "") => Again, Unavailable;
    "500": Anywhere, lost, Status(500, "Internal Server Error") => Again, Unavailable;
    "520": Anywhere, kept, Status(520, "") => Again, Unavailable;
    "408": Anywhere, lost, Status(408, "") => Again, Unavailable;
    "425": Anywhere, lost, Status(425, "") => Again, Unavailable;
    "429": Anywhere, lost, Status(429, "{\"message\":\"slow down\"}") => Again, RateLimited;
    "302": Anywhere, lost, Status(302, "") => Final, BadResponse;
    "503 for 2 s": Anywhere, lost, StatusAndHeaders(503, &[("retry-after", "2")]) => After(2000), Unavailable;
    "503 for no time": Anywhere, lost, StatusAndHeaders(503, &[("retry-after", "0")]) => After(0), Unavailable;
    "503 until a date": Anywhere, lost,
        StatusAndHeaders(503, &[("retry-after", IN_TWO_SECONDS), ("date", NOW)]) => After(2000), Unavailable;
    "503 until a date of another clock": Anywhere, lost,
        StatusAndHeaders(503, &[("retry-after", AN_HOUR_AHEAD), ("date", AN_HOUR_AHEAD_NOW)]) => After(2000), Unavailable;
    "503 until nonsense": Anywhere, lost, StatusAndHeaders(503, &[("retry-after", "soon")]) => Again, Unavailable;
    "429 for the longest wait": Anywhere, lost, StatusAndHeaders(429, &[("retry-after", "30")]) => After(30_000), RateLimited;
    "429 for too long": Anywhere, lost, StatusAndHeaders(429, &[("retry-after", "31")]) => TooLong(31_000), RateLimited;
    "503 until a day too late": Anywhere, lost,
        StatusAndHeaders(503, &[("retry-after", AN_HOUR_AHEAD), ("date", NOW)]) => TooLong(3_602_000), Unavailable;
    // Storage tells the real status in the body of a 400.
    "storage 503": Storage, lost, Status(400, r#"{"statusCode":"503","error":"x","message":"y"}"#) => Again, Unavailable;
    "storage LockTimeout": Storage, lost,
        Status(400, r#"{"statusCode":"503","error":"LockTimeout","message":"y","code":"LockTimeout"}"#) => Again, Unavailable;
    "storage DatabaseReadOnly": Storage, lost,
        Status(400, r#"{"statusCode":"503","error":"x","message":"y","code":"DatabaseReadOnly"}"#) => Again, Unavailable;
    "storage 429": Storage, lost, Status(400, r#"{"statusCode":"429","error":"x","message":"y"}"#) => Again, RateLimited;
    "storage SlowDown": Storage, lost,
        Status(429, r#"{"statusCode":"429","error":"x","message":"y","code":"SlowDown"}"#) => Again, Unavailable;
    "storage 544": Storage, lost, Status(400, r#"{"statusCode":"544","error":"x","message":"y"}"#) => Again, Unavailable;
    "544": Storage, lost,
        Status(544, r#"{"statusCode":"544","error":"x","message":"y","code":"DatabaseTimeout"}"#) => Again, Unavailable;
    "router's 503": Storage, lost, Status(400, r#"{"statusCode":503,"error":"x","message":"y"}"#) => Again, Unavailable;
    "400 cut short": Anywhere, lost, Status(400, r#"{"statusCode":"503","err"#) => Again, BadResponse;
    // Uploads in pieces answer real statuses with texts.
    "423": Resumable, lost, Status(423, "") => Again, Unavailable;
    "503 of a lock": Resumable, lost, Status(503, "acquiring lock timeout") => Again, Unavailable;
    "lock acquired": Resumable, lost, Status(400, "Request aborted due to lock acquired") => Again, Unavailable;
    "409 of an offset": Only(Step::Piece), lost, Status(409, "Upload-Offset conflict") => Again, BadResponse;
    "403 of a policy": Resumable, lost, Status(403, "new row violates row-level security policy") => Final, Forbidden;
    "404 of a bucket": Only(Step::Create), lost, Status(404, "Bucket not found") => Final, BucketMissing;
    "400 of a key": Only(Step::Create), lost, Status(400, "Invalid key: a") => Final, Rejected;
    "415": Only(Step::Create), lost, Status(415, "mime type image/png is not supported") => Final, TypeNotAllowed;
    // PostgREST.
    "40001": Database, lost, Status(500, r#"{"code":"40001","message":"could not serialize"}"#) => Again, Unavailable;
    "40P01": Database, lost, Status(500, r#"{"code":"40P01","message":"deadlock detected"}"#) => Again, Unavailable;
    "57014": Database, lost, Status(500, r#"{"code":"57014","message":"statement timeout"}"#) => Again, Unavailable;
    "57014 after it arrived": Database, kept, Status(500, r#"{"code":"57014","message":"x"}"#) => Again, Unavailable;
    "25006": Database, lost, Status(405, r#"{"code":"25006","message":"read-only transaction"}"#) => Again, Unavailable;
    "55P03": Database, lost, Status(500, r#"{"code":"55P03","message":"could not obtain lock"}"#) => Again, Unavailable;
    "57P01": Database, lost, Status(503, r#"{"code":"57P01","message":"shutting down"}"#) => Again, Unavailable;
    "53300": Database, lost, Status(503, r#"{"code":"53300","message":"too many connections"}"#) => Again, Unavailable;
    "08006": Database, kept, Status(503, r#"{"code":"08006","message":"connection failure"}"#) => Again, Unavailable;
    "PGRST000": Database, lost, Status(503, r#"{"code":"PGRST000","message":"no connection"}"#) => Again, Unavailable;
    "PGRST001": Database, lost, Status(503, r#"{"code":"PGRST001","message":"no connection"}"#) => Again, Unavailable;
    "PGRST002": Database, lost, Status(503, r#"{"code":"PGRST002","message":"no schema cache"}"#) => Again, Unavailable;
    "PGRST003": Database, lost, Status(504, r#"{"code":"PGRST003","message":"pool timeout"}"#) => Again, Unavailable;
    // A token that is refused.
    "401": Supabase, lost, Status(401, "{\"message\":\"Unauthorized\"}") => FreshToken, Unauthorized;
    "PGRST301": Database, lost, Status(401, r#"{"code":"PGRST301","message":"JWSError"}"#) => FreshToken, Unauthorized;
    "PGRST303": Database, lost, Status(401, r#"{"code":"PGRST303","message":"JWT expired"}"#) => FreshToken, Unauthorized;
    "storage 403 of a token": Storage, lost,
        Status(400, r#"{"statusCode":"403","error":"Unauthorized","message":"\"exp\" claim timestamp check failed","code":"AccessDenied"}"#)
        => FreshToken, Unauthorized;
    "issued at future": Database, lost, Status(401, r#"{"code":"PGRST303","message":"JWT issued at future"}"#) => Again, Unauthorized;
    "storage's nbf": Storage, lost,
        Status(400, r#"{"statusCode":"403","error":"Unauthorized","message":"\"nbf\" claim timestamp check failed","code":"AccessDenied"}"#)
        => Again, Unauthorized;
    // Who stands before the services.
    "403 of a firewall": Anywhere, lost, Status(403, "<html>Forbidden</html>") => Later, Unavailable;
    "400 of a gateway": Anywhere, lost, Status(400, "") => Later, Unavailable;
    "404 of a gateway": Whole, lost, Status(404, "<html>Not Found</html>") => Again, Unavailable;
    "405 of a gateway": Whole, lost, Status(405, "<html>Not Allowed</html>") => Again, Unavailable;
    "410 of a gateway": Whole, kept, Status(410, "") => Again, Unavailable;
    "404 of a gateway without routes": Whole, lost,
        Status(404, r#"{"message":"no Route matched with those values"}"#) => Again, Unavailable;
    "401 of a portal": Anywhere, lost, Status(401, "") => Later, Unavailable;
    // What is final.
    "unknown key": Supabase, lost, Status(401, r#"{"message":"Invalid API key"}"#) => Final, Unauthorized;
    "cut, with the secrets": Anywhere, lost, CutEcho => Again, Network;
    "echo": Supabase, lost, Echo => Final, Rejected;
    "echo before the Worker": Worker, lost, Echo => Later, Unavailable;
    "storage 413": Storage, lost, Status(400, r#"{"statusCode":"413","error":"x","message":"y","code":"EntityTooLarge"}"#) => Final, TooLarge;
    "413": Anywhere, lost, Status(413, "<html>Request Entity Too Large</html>") => Final, TooLarge;
    "storage 415": Storage, lost, Status(400, r#"{"statusCode":"415","error":"x","message":"y"}"#) => Final, TypeNotAllowed;
    "storage InvalidKey": Storage, lost, Status(400, r#"{"statusCode":"400","error":"x","message":"y","code":"InvalidKey"}"#) => Final, Rejected;
    "storage 403 of a policy": Storage, lost,
        Status(400, r#"{"statusCode":"403","error":"x","message":"new row violates row-level security policy","code":"AccessDenied"}"#)
        => Final, Forbidden;
    "no bucket": Storage, lost, Status(400, r#"{"statusCode":"404","error":"x","message":"Bucket not found","code":"NoSuchBucket"}"#) => Final, BucketMissing;
    "42501": Database, lost, Status(403, r#"{"code":"42501","message":"row-level security"}"#) => Final, Forbidden;
    "42P17": Database, lost, Status(500, r#"{"code":"42P17","message":"infinite recursion detected in policy"}"#) => Final, Rejected;
    "23503": Database, lost, Status(409, r#"{"code":"23503","message":"foreign key"}"#) => Final, Rejected;
    "PGRST204": Database, lost, Status(400, r#"{"code":"PGRST204","message":"no column"}"#) => Final, Rejected;
    "PGRST205": Database, lost, Status(404, r#"{"code":"PGRST205","message":"no table"}"#) => Final, TableMissing;
    "PGRST106": Database, lost, Status(406, r#"{"code":"PGRST106","message":"no schema"}"#) => Final, SchemaNotExposed;
};
