//! The Worker's API (`www/worker`): what stands between a page and a project whose key no page may have.
//!
//! A small image goes in one form. A large one goes by ticket: straight to Storage, to a path of its own where nobody
//! reads, and a commit makes an image of it. [`tus`](super::tus) carries it there.

use serde::Deserialize;

use crate::config::{Config, check_url};
use crate::error::{Code, Error, Stage};
use crate::image::meta::Shipment;
use crate::image::path::{self, StoragePath, escape_query, is_plain_name};
use crate::text::{contains, is_header_safe, quote};
use crate::wire::Landed;
use crate::wire::classify::{self, Refusal};
use crate::wire::http::{Authority, Method, Request, Response};
use crate::wire::link::Link;

/// The right to upload one image and have it committed. It holds secrets, and it ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// Names it to the Worker. A secret.
    pub ticket: String,
    /// Where the image will be.
    pub storage_path: String,
    /// Where the upload goes.
    pub bucket: String,
    /// The object of that bucket that it makes, where nobody reads.
    pub path: String,
    /// Stands for a key with every request to `resumable_url`. A secret.
    pub token: String,
    /// The address of the server's resumable uploads.
    pub resumable_url: String,
}

fn post<B>(config: &Config, route: &str) -> Request<B> {
    Request::new(Method::Post, format!("{}/api/{route}", config.url))
}

/// What goes beside an image in the Worker's hands.
#[derive(Clone, Debug)]
pub struct Beside<'a, B> {
    /// Its small picture.
    pub thumbnail: Option<B>,
    /// The link that the answer is to bring.
    pub link: Option<&'a Link>,
}

impl<B> Default for Beside<'_, B> {
    fn default() -> Self {
        Self { thumbnail: None, link: None }
    }
}

impl<B> Beside<'_, B> {
    fn query(&self) -> String {
        self.link.map(|link| format!("?{}", link.query())).unwrap_or_default()
    }
}

const THUMBNAIL: &str = "thumbnail";

/// Hands the image in whole. The same id again is answered alike, so it may be repeated.
pub fn sync<B: Clone>(config: &Config, shipment: &Shipment<B>, beside: Beside<'_, B>) -> Request<B> {
    let route = format!("sync{}", beside.query());
    let thumbnail = beside.thumbnail.map(|thumbnail| (THUMBNAIL, thumbnail));
    let files = [("image", shipment.image.clone())].into_iter().chain(thumbnail);
    post(config, &route).form(shipment.request.clone(), files.collect())
}

/// Where the image is, or will be.
pub fn read_sync(response: &Response) -> Result<Landed, Refusal> {
    let path = read_image(Stage::Upload, response)?.storage_path;
    Ok(if response.status == 202 { Landed::Queued { path } } else { Landed::Stored { path } })
}

/// Asks for a ticket. For the same id it is one for the same upload, whatever became of an earlier one.
pub fn ask_ticket<B>(config: &Config, shipment: &Shipment<B>, size: u64) -> Request<B> {
    post(config, "tickets").json(with_size(shipment, size)).fresh()
}

/// The ticket. What an answer without one says is not quoted: it may hold half of one.
pub fn read_ticket(response: &Response) -> Result<Ticket, Refusal> {
    if !response.is_success() {
        return Err(classify::of_worker(Stage::Upload, response));
    }
    let is_sound = |ticket: &Ticket| {
        is_plain_name(&ticket.ticket)
            && is_header_safe(&ticket.token)
            && check_url(&ticket.resumable_url).is_ok()
            && path::check(&ticket.storage_path).is_ok()
    };
    let problem = || Refusal::contradictory(Stage::Upload, "parse ticket response: no ticket");
    response.read().filter(is_sound).ok_or_else(problem)
}

/// Has the upload made an image. Answered alike for an image that is one already.
pub fn commit<B>(
    config: &Config,
    ticket: &Ticket,
    shipment: &Shipment<B>,
    beside: Beside<'_, B>,
    size: u64,
) -> Request<B> {
    let request = post(config, &format!("tickets/{}/commit{}", ticket.ticket, beside.query())).fresh();
    match beside.thumbnail {
        Some(thumbnail) => request.form(with_size(shipment, size), vec![(THUMBNAIL, thumbnail)]),
        None => request.json(with_size(shipment, size)),
    }
}

/// Whether the upload is an image now; false if it is not complete.
pub fn read_commit(response: &Response) -> Result<bool, Refusal> {
    match code_of(response) {
        Some("not_uploaded" | "upload_mismatch") => Ok(false),
        _ => read_image(Stage::Insert, response).map(|_| true),
    }
}

/// Whether an answer is about the ticket, or about the token that it gave, by which the request went; another ticket may mend
/// both. Storage's words for a token that has ended are many, and those to HEAD none.
pub fn wants_ticket(response: &Response, authority: &Authority) -> bool {
    match authority {
        Authority::Upload(_) => {
            matches!(response.status, 400 | 401 | 403) && !contains(&response.body, "lock acquired")
        }
        Authority::Client => matches!(code_of(response), Some("ticket_expired" | "ticket_invalid")),
    }
}

/// What became of an image that the Worker was given.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It is in Supabase.
    There {
        /// Its object's.
        path: String,
    },
    /// The Worker has it, and will bring it there.
    OnItsWay {
        /// Where its object will be.
        path: String,
    },
    /// It was taken, and then refused for good.
    Refused(Error),
    /// The Worker knows of none that is the user's.
    Unknown,
}

/// Asks what became of one of the user's images. An image that was removed is an error, see [`is_removed`].
pub fn ask_standing<B>(config: &Config, image_id: &str) -> Request<B> {
    Request::new(Method::Get, format!("{}/api/images/{image_id}", config.url)).fresh()
}

/// What became of it.
pub fn read_standing(image_id: &str, response: &Response) -> Result<Standing, Refusal> {
    if code_of(response) == Some("not_found") {
        return Ok(Standing::Unknown);
    }
    let Image { image_id: told, storage_path: path, queued, refused: why } = read_image(Stage::Upload, response)?;
    if !told.is_some_and(|told| told.eq_ignore_ascii_case(image_id)) {
        return Err(Refusal::garbled(Stage::Upload, response, "storage upload: another image was told of"));
    }
    Ok(match why {
        Some(code) => Standing::Refused(refused(&code)),
        None if queued => Standing::OnItsWay { path },
        None => Standing::There { path },
    })
}

/// Why the Worker could not bring an image that it had taken.
fn refused(told: &str) -> Error {
    let code = classify::of_problem(told).unwrap_or(Code::Rejected);
    let told = quote(told);
    let message = format!("storage upload: the image was taken, and refused later: {told}");
    let mut error = Error::new(Stage::Upload, code, message);
    error.server_code = Some(told);
    error
}

/// Whether an image was refused because its user has removed it.
pub fn is_removed(error: &Error) -> bool {
    error.code == Code::ObjectMissing && error.server_code.as_deref() == Some("image_removed")
}

/// Asks for a URL of one of the user's images.
pub fn sign<B>(config: &Config, path: &StoragePath, link: &Link) -> Request<B> {
    let path = escape_query(path.as_str());
    Request::new(Method::Get, format!("{}/api/signed-url?path={path}&{}", config.url, link.query())).fresh()
}

/// The URL.
pub fn read_sign(response: &Response) -> Result<String, Refusal> {
    if !response.is_success() {
        return Err(classify::of_worker(Stage::Sign, response));
    }
    read_url("url", response).ok_or_else(|| Refusal::garbled(Stage::Sign, response, "sign: no URL"))
}

/// The URL that came with an image.
pub fn read_link(response: &Response) -> Option<String> {
    read_url("signedUrl", response)
}

/// Nothing that a page might run instead of show.
fn read_url(name: &str, response: &Response) -> Option<String> {
    let url = response.json.as_ref()?.text(name)?;
    let is_web = ["https://", "http://"].iter().any(|scheme| url.starts_with(scheme));
    is_web.then(|| url.to_owned())
}

/// The request as the ticket's routes take it: with the number of bytes.
fn with_size<B>(shipment: &Shipment<B>, size: u64) -> String {
    let rest = shipment.request.strip_prefix('{').unwrap_or_default();
    format!("{{\"size\":{size},{rest}")
}

/// What the Worker says of an image.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    #[serde(default)]
    image_id: Option<String>,
    /// Of the object, which may still be on its way.
    storage_path: String,
    #[serde(default)]
    queued: bool,
    /// Why it was refused for good after it was taken.
    #[serde(default)]
    refused: Option<String>,
}

fn read_image(stage: Stage, response: &Response) -> Result<Image, Refusal> {
    if !response.is_success() {
        return Err(classify::of_worker(stage, response));
    }
    response.read().ok_or_else(|| Refusal::garbled(stage, response, &format!("{}: no storagePath", stage.label())))
}

/// The Worker's word for what it refuses.
fn code_of(response: &Response) -> Option<&str> {
    response.json.as_ref().filter(|_| !response.is_success() && response.is_problem())?.text("code")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_ticket_that_leads_elsewhere_or_that_no_host_can_send_is_none() {
        let read = |spoilt: &str, value: &str| {
            let mut answer = serde_json::json!({
                "ticket": "abc.def",
                "storagePath": "u/a.png",
                "bucket": "b",
                "path": "p",
                "token": "a.b.c",
                "resumableUrl": "https://x.co/storage/v1/upload/resumable/sign",
            });
            if !spoilt.is_empty() {
                answer[spoilt] = value.into();
            }
            let json = crate::json::tests::parse(&answer.to_string());
            read_ticket(&Response { status: 201, json, ..Response::default() }).map_err(|refusal| refusal.error.code)
        };
        assert!(read("", "").is_ok());
        for (name, value) in [
            ("ticket", "../signed-url"),
            ("ticket", ""),
            ("token", "a\nb"),
            ("resumableUrl", "javascript:alert(1)"),
            ("resumableUrl", "https://x.co/?y"),
            ("storagePath", "../u"),
        ] {
            assert_eq!(read(name, value).err(), Some(Code::BadResponse), "{name} {value:?}");
        }
    }
}
