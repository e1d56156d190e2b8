//! A service of one address: `POST` an image to it, `GET` a list of the newest ones.

use std::collections::HashMap;
use std::env;

use imagen::cloud::sinks::{Code, Error, LinkOptions, ListOptions, ListedImage, Options, Request, Sink, SyncOptions};
use serde_json::{Value, json};
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

wit_bindgen::generate!({
    // The library's WIT; outside of the repository a copy of that folder.
    path: ["../../wit", "wit"],
    world: "example:service/service",
    generate_all,
    with: { "wasi:io/poll@0.2.12": wasip2::io::poll },
    // So that what is left out of a record need not be written.
    additional_derives: [Default],
    additional_derives_ignore: ["code", "error", "picture-format", "resize", "stage"],
});
wasip2::http::proxy::export!(Service);

/// The longest image that is taken, in bytes.
const LIMIT: usize = 20 << 20;

/// What is answered: a status and JSON.
type Answer = (u16, Value);

struct Service;

impl wasip2::exports::http::incoming_handler::Guest for Service {
    fn handle(request: IncomingRequest, to: ResponseOutparam) {
        let (status, body) = answer(&request).unwrap_or_else(|problem| problem);
        respond(to, status, body.to_string().as_bytes());
    }
}

fn answer(request: &IncomingRequest) -> Result<Answer, Answer> {
    let token = variable("TOKEN");
    // A service that was given none would otherwise let in whoever sends an empty one.
    if token.is_empty() || request.headers().get("authorization") != [format!("Bearer {token}").into_bytes()] {
        return Err((401, json!({ "error": "this needs the service's token" })));
    }
    let sink = Sink::connect(&Options {
        url: variable("SUPABASE_URL"),
        api_key: variable("SUPABASE_SECRET_KEY"),
        owner_user_id: Some(variable("IMAGEN_OWNER_USER_ID")),
        require_image: Some(true),
        ..Options::default()
    });
    match request.method() {
        Method::Post => send(&sink.map_err(told)?, request),
        Method::Get => list(&sink.map_err(told)?),
        _ => Err((405, json!({ "error": "GET and POST only" }))),
    }
}

/// Sends what a request brings. Whoever repeats one with the same `id` has no second image.
fn send(sink: &Sink, request: &IncomingRequest) -> Result<Answer, Answer> {
    let target = request.path_with_query().unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let mut given: HashMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let image = Request {
        image: body_of(request)?,
        image_id: given.remove("id"),
        seed: given.remove("seed").and_then(|seed| seed.parse().ok()).unwrap_or_default(),
        prompt: given.remove("prompt").unwrap_or_default(),
        backend: "wasi-service".to_owned(),
        ..Request::default()
    };
    let options =
        SyncOptions { signed_url: Some(LinkOptions::default()), deadline_ms: Some(30_000), concurrency: None };
    let synced = sink.sync(&image, &options).map_err(told)?;
    Ok((201, json!({ "id": synced.image_id, "url": synced.signed_url })))
}

fn list(sink: &Sink) -> Result<Answer, Answer> {
    let options = ListOptions { signed_url: Some(LinkOptions::default()), ..ListOptions::default() };
    let images = sink.list(&options).map_err(told)?.images;
    let image = |image: ListedImage| json!({ "id": image.image_id, "prompt": image.prompt, "url": image.signed_url });
    Ok((200, images.into_iter().map(image).collect()))
}

fn told(error: Error) -> Answer {
    let status = match error.code {
        Code::InvalidRequest | Code::InvalidImage => 400,
        _ if error.retryable => 503,
        _ => 502,
    };
    (status, json!({ "error": error.message }))
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn body_of(request: &IncomingRequest) -> Result<Vec<u8>, Answer> {
    let broken = || (400, json!({ "error": "the image broke off" }));
    let body = request.consume().map_err(|()| broken())?;
    let (stream, mut bytes) = (body.stream().map_err(|()| broken())?, Vec::new());
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(_) => return Err(broken()),
        }
        if bytes.len() > LIMIT {
            return Err((413, json!({ "error": "the image is too large" })));
        }
    }
}

/// Answers; where nobody listens any more there is nobody to tell.
fn respond(to: ResponseOutparam, status: u16, json: &[u8]) {
    let headers = Fields::new();
    let _ = headers.set("content-type", &[b"application/json".to_vec()]);
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let body = response.body();
    ResponseOutparam::set(to, Ok(response));
    if let Ok(body) = body {
        if let Ok(stream) = body.write() {
            let _ = json.chunks(4096).try_for_each(|piece| stream.blocking_write_and_flush(piece));
        }
        let _ = OutgoingBody::finish(body, None);
    }
}
