//! Requests by `wasi:http`.

use core::future::pending;

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::random::random;

use super::WasiBytes;
use super::run::{Watchdog, ready};
use crate::host::{OnSent, Patience};
use crate::race::first_of;
use crate::text::split_once;
use crate::wire::http::{self, Failure, Payload, READ_HEADERS, Request, Response};

/// Bytes that are in hand at once, of an image in a file as of an answer.
const PIECE: u64 = 64 * 1024;
/// No answer of these services is nearly as long, and running out of memory would be the end of the component.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Sends a request and reads the whole answer. Dropped before its end, it ends the request.
pub(super) async fn exchange(
    request: Request<WasiBytes>,
    patience: Patience,
    on_sent: Option<OnSent>,
) -> Result<Response, Failure> {
    let Request { method, url, headers, payload, .. } = request;
    let (parts, content_type) = parts_of(payload);
    let watchdog = Watchdog::new(patience.idle_ms);
    check(&parts)?;

    let length: u64 = parts.iter().map(WasiBytes::size).sum();
    // Without its length a body is sent in chunks, which pass Storage's limits of size; servers ask for it of an empty one too.
    let has_body = length > 0 || matches!(method, http::Method::Patch | http::Method::Post | http::Method::Put);
    let own = has_body.then(|| ("Content-Length", length.to_string()));
    let headers = headers.into_iter().chain(content_type.map(|value| ("Content-Type", value))).chain(own);
    let head = head_of(method, &url, headers)?;
    let body = head.body().map_err(|()| lost("the request has no body"))?;
    let answer = handle(head, None).map_err(lost)?;

    let answering = async {
        ready(|| answer.subscribe()).await;
        let Some(Ok(response)) = answer.get() else {
            return Err(lost("no answer"));
        };
        let response =
            read(&response.map_err(lost)?, method == http::Method::Head, &|| watchdog.calm(patience.idle_ms)).await;
        check(&parts)?;
        response
    };
    let sending = async {
        let tell = |sent: u64| {
            let line_ms = if sent == length { patience.line_ms } else { 0 };
            watchdog.calm(patience.idle_ms.saturating_add(line_ms));
            if let Some(on_sent) = &on_sent {
                on_sent(sent);
            }
        };
        match send(body, &parts, &tell).await {
            Err(Unsent::Image(problem)) => Err(Failure::Image(problem, None)),
            // Where the line is broken, or the server wants no more of it, the answer says so.
            Ok(()) | Err(Unsent::Line) => pending().await,
        }
    };
    let barked = async {
        watchdog.bark().await;
        Err(Failure::Timeout)
    };
    first_of(Box::pin(first_of(Box::pin(answering), Box::pin(sending))), Box::pin(barked)).await
}

/// No file may have changed.
fn check(parts: &[WasiBytes]) -> Result<(), Failure> {
    parts.iter().try_for_each(|part| part.check().map_err(|problem| Failure::Image(problem, None)))
}

fn lost(problem: impl core::fmt::Debug) -> Failure {
    Failure::Network(format!("{problem:?}"), None)
}

/// What a request carries, and the header that this brings along.
fn parts_of(payload: Payload<WasiBytes>) -> (Vec<WasiBytes>, Option<String>) {
    let text = |text: String| WasiBytes::from(text.into_bytes());
    match payload {
        Payload::Empty => (Vec::new(), None),
        Payload::Json(json) => (vec![text(json)], None),
        Payload::Image(image) => (vec![image], None),
        // RFC 7578.
        Payload::Form(request, files) => {
            let boundary = format!("imagen-{:016x}{:016x}", random::get_random_u64(), random::get_random_u64());
            let part = |head: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name={head}\r\n\r\n");
            let mut parts = vec![text(part("\"request\"") + &request)];
            for (name, file) in files {
                let head = format!("\"{name}\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream");
                parts.extend([text(format!("\r\n{}", part(&head))), file]);
            }
            parts.push(text(format!("\r\n--{boundary}--\r\n")));
            (parts, Some(format!("multipart/form-data; boundary={boundary}")))
        }
    }
}

fn head_of(
    method: http::Method,
    url: &str,
    headers: impl Iterator<Item = (&'static str, String)>,
) -> Result<OutgoingRequest, Failure> {
    let headers: Vec<(String, Vec<u8>)> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes())).collect();
    let head = OutgoingRequest::new(Fields::from_list(&headers).map_err(lost)?);
    let (scheme, rest) = split_once(url, "://").unwrap_or(("", url));
    let scheme = if scheme.eq_ignore_ascii_case("http") { Scheme::Http } else { Scheme::Https };
    let (authority, path) = rest.split_at(rest.find(['/']).unwrap_or(rest.len()));
    let method = match method {
        http::Method::Delete => Method::Delete,
        http::Method::Get => Method::Get,
        http::Method::Head => Method::Head,
        http::Method::Patch => Method::Patch,
        http::Method::Post => Method::Post,
        http::Method::Put => Method::Put,
    };
    let set = || {
        head.set_method(&method)?;
        head.set_scheme(Some(&scheme))?;
        head.set_authority(Some(authority))?;
        head.set_path_with_query(Some(path))
    };
    match set() {
        Ok(()) => Ok(head),
        Err(()) => Err(lost("the host takes no request to this address")),
    }
}

/// Why a body has not gone out.
enum Unsent {
    /// The image can't be read.
    Image(String),
    /// The host takes no more.
    Line,
}

impl From<StreamError> for Unsent {
    fn from(_: StreamError) -> Self {
        Self::Line
    }
}

async fn send(body: OutgoingBody, parts: &[WasiBytes], tell: &dyn Fn(u64)) -> Result<(), Unsent> {
    let stream = body.write().map_err(|()| Unsent::Line)?;
    let mut sent = 0;
    for part in parts {
        let mut at = 0;
        while at < part.size() {
            let room = room_in(&stream).await?;
            let piece = part.piece(at, room.min(PIECE)).map_err(Unsent::Image)?;
            stream.write(&piece)?;
            at += piece.len() as u64;
            sent += piece.len() as u64;
            tell(sent);
        }
    }
    stream.flush()?;
    room_in(&stream).await?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_| Unsent::Line)
}

/// How many bytes the host takes now; waits until it takes some.
async fn room_in(stream: &OutputStream) -> Result<u64, StreamError> {
    loop {
        match stream.check_write()? {
            0 => ready(|| stream.subscribe()).await,
            room => return Ok(room),
        }
    }
}

async fn read(response: &IncomingResponse, is_bare: bool, tell: &dyn Fn()) -> Result<Response, Failure> {
    let given = response.headers();
    let header = |name: &str| {
        let value = given.get(name).into_iter().next()?;
        String::from_utf8(value).ok().filter(|value| !value.is_empty())
    };
    let headers = READ_HEADERS.into_iter().filter_map(|name| Some((name, header(name)?))).collect();
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok()).filter(|_| !is_bare);
    drop(given);

    let body = response.consume().map_err(|()| lost("the answer has no body"))?;
    let stream = body.stream().map_err(|()| lost("the answer has no body"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.read(PIECE) {
            Ok(piece) if piece.is_empty() => ready(|| stream.subscribe()).await,
            Ok(piece) if bytes.len() + piece.len() > LONGEST_ANSWER => return Err(Failure::TooLong),
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(problem)) => return Err(lost(problem.to_debug_string())),
        }
        tell();
    }
    if length.is_some_and(|length| bytes.len() < length) {
        return Err(lost("the connection broke in the midst of the answer"));
    }
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Response { status: response.status(), headers, json: None, body })
}
