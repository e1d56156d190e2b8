//! What the component is compared with: the two requests of an image by `wasi:http`, and nothing else. No answer is read as more
//! than its bytes, nothing is tried again.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

wit_bindgen::generate!({
    inline: "
        package imagen:bench;
        world raw {
            /// To a server without TLS.
            export send: func(authority: string, image: list<u8>) -> result<_, string>;
        }
    ",
});
export!(Raw);

const OBJECT: &str = "/storage/v1/object/imagen-generated/2026-05-11/lighthouse-42.png";
const ROWS: &str = "/rest/v1/images";
const ROW: &[u8] = br#"{"id":"7d6f2b8e-1111-4222-8333-444455556666","owner_user_id":"7d6f2b8e-1111-4222-8333-444455556666","prompt":"p","prompt_hash":"148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940","backend":"b","storage_path":"2026-05-11/lighthouse-42.png","seed":42}"#;

struct Raw;

impl Guest for Raw {
    fn send(authority: String, image: Vec<u8>) -> Result<(), String> {
        exchange(&authority, &Method::Put, OBJECT, "image/png", &image)?;
        exchange(&authority, &Method::Post, ROWS, "application/json", ROW)
    }
}

fn exchange(authority: &str, method: &Method, path: &str, content_type: &str, bytes: &[u8]) -> Result<(), String> {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let headers = Fields::from_list(&[
        header("apikey", "key"),
        header("content-type", content_type),
        header("content-length", &bytes.len().to_string()),
        header("content-profile", "imagen"),
        header("prefer", "return=representation"),
    ]);
    let request = OutgoingRequest::new(headers.map_err(told)?);
    request.set_method(method).map_err(told)?;
    request.set_scheme(Some(&Scheme::Http)).map_err(told)?;
    request.set_authority(Some(authority)).map_err(told)?;
    request.set_path_with_query(Some(path)).map_err(told)?;
    let body = request.body().map_err(told)?;
    let answer = handle(request, None).map_err(told)?;
    let stream = body.write().map_err(told)?;
    bytes.chunks(4096).try_for_each(|piece| stream.blocking_write_and_flush(piece)).map_err(told)?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(told)?;
    answer.subscribe().block();
    let response = answer.get().and_then(Result::ok).ok_or("no answer")?.map_err(told)?;
    read(&response)?;
    if (200..300).contains(&response.status()) { Ok(()) } else { Err(response.status().to_string()) }
}

fn read(response: &IncomingResponse) -> Result<(), String> {
    let body = response.consume().map_err(told)?;
    let stream = body.stream().map_err(told)?;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(_) => {}
            Err(StreamError::Closed) => return Ok(()),
            Err(problem) => return Err(told(problem)),
        }
    }
}

fn told(problem: impl core::fmt::Debug) -> String {
    format!("{problem:?}")
}
