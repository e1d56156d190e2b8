//! A model of Storage's uploads in pieces, by the servers' contract.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::json;

use super::world::{BUCKET, Bytes, Object, Step, World, answer_of, storage_error};
use crate::wire::http::{Payload, Request, Response};

/// By their ids.
pub(crate) type Uploads = RefCell<BTreeMap<String, Unfinished>>;

/// An upload as the server keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    path: String,
    mime_type: String,
    version: String,
    total: usize,
    bytes: Vec<u8>,
    finished: bool,
}

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn id_of(request: &Request<Bytes>) -> &str {
    request.url.rsplit('/').next().unwrap()
}

fn answer_with(status: u16, headers: &[(&'static str, String)]) -> Response {
    Response { headers: headers.to_vec(), ..answer_of(status, "") }
}

impl World {
    /// A piece of which only a part gets through; `None` for a request that has none.
    pub(super) fn serve_part(&self, step: Step, request: &Request<Bytes>, part: f64) -> Option<Response> {
        let Payload::Image(bytes) = &request.payload else {
            return None;
        };
        let most = (bytes.len() as f64 * part) as usize;
        match step {
            Step::Create => Some(self.create_upload(request, bytes, "", Some(most))),
            Step::Piece => Some(self.take_piece(request, bytes, Some(most))),
            _ => None,
        }
    }

    /// The upload won't be gone on with.
    pub(super) fn drop_upload(&self, request: &Request<Bytes>) -> Response {
        let mut uploads = self.uploads.borrow_mut();
        match uploads.get(id_of(request)).map(|upload| upload.finished) {
            None => answer_of(404, "The file for this url was not found"),
            Some(true) => answer_of(409, "Cannot terminate an already completed upload"),
            Some(false) => {
                uploads.remove(id_of(request));
                answer_of(204, "")
            }
        }
    }

    /// The upload expires, or is cleared away; `None` for a request that is about none.
    pub(super) fn forget(&self, step: Step, request: &Request<Bytes>, status: u16) -> Option<Response> {
        let is_about_one = matches!(step, Step::Piece | Step::Offset);
        is_about_one.then(|| {
            self.uploads.borrow_mut().remove(id_of(request));
            answer_of(status, "The file for this url was not found")
        })
    }

    pub(super) fn create_upload(
        &self,
        request: &Request<Bytes>,
        bytes: &Bytes,
        user: &str,
        most: Option<usize>,
    ) -> Response {
        check_protocol(request);
        let metadata = header(request, "Upload-Metadata").unwrap();
        let metadata: BTreeMap<&str, String> = metadata
            .split(',')
            .map(|entry| entry.split_once(' ').unwrap())
            .map(|(name, value)| (name, String::from_utf8(Base64::decode_vec(value).unwrap()).unwrap()))
            .collect();
        assert_eq!(metadata["bucketName"], BUCKET);
        let path = metadata["objectName"].clone();
        let is_signed = header(request, "x-signature").is_some();
        assert!(!is_signed || path.contains("/.incoming/"), "a ticket's upload goes elsewhere");
        if self.row_level_security.get() && !is_signed && !path.starts_with(&format!("{user}/")) {
            return answer_of(403, "new row violates row-level security policy");
        }
        let version = self.new_version();
        let id = Base64UrlUnpadded::encode_string(format!("tenant/{BUCKET}/{path}/{version}").as_bytes());
        let total = header(request, "Upload-Length").unwrap().parse().unwrap();
        let mime_type = metadata["contentType"].clone();
        let upload = Unfinished { path, mime_type, version, total, bytes: Vec::new(), finished: false };
        self.uploads.borrow_mut().insert(id.clone(), upload);
        let offset = self.append(&id, bytes, most);
        let location = format!("http://storage:5000/upload/resumable/{id}");
        answer_with(201, &[("location", location), ("upload-offset", offset.to_string())])
    }

    pub(super) fn take_piece(&self, request: &Request<Bytes>, bytes: &Bytes, most: Option<usize>) -> Response {
        check_protocol(request);
        assert_eq!(header(request, "Content-Type"), Some("application/offset+octet-stream"));
        let offset: usize = header(request, "Upload-Offset").unwrap().parse().unwrap();
        let found = self.uploads.borrow().get(id_of(request)).map(|upload| (upload.finished, upload.bytes.len()));
        match found {
            None => answer_of(404, "The file for this url was not found"),
            Some((true, _)) => answer_of(409, "The resource already exists"),
            Some((false, reached)) if reached != offset => answer_of(409, "Upload-Offset conflict"),
            Some(_) => {
                let offset = self.append(id_of(request), bytes, most);
                answer_with(204, &[("upload-offset", offset.to_string())])
            }
        }
    }

    fn append(&self, id: &str, bytes: &Bytes, most: Option<usize>) -> usize {
        let mut uploads = self.uploads.borrow_mut();
        let upload = uploads.get_mut(id).unwrap();
        upload.bytes.extend(&bytes[..most.unwrap_or(bytes.len())]);
        assert!(upload.bytes.len() <= upload.total, "more bytes than were announced");
        if upload.bytes.len() == upload.total {
            upload.finished = true;
            let object = Object {
                bytes: Rc::new(upload.bytes.clone()),
                mime_type: upload.mime_type.clone(),
                version: upload.version.clone(),
            };
            self.objects.borrow_mut().insert(upload.path.clone(), object);
            *self.completed.borrow_mut().entry(upload.path.clone()).or_default() += 1;
        }
        upload.bytes.len()
    }

    pub(super) fn tell_offset(&self, request: &Request<Bytes>) -> Response {
        assert_eq!(header(request, "Tus-Resumable"), Some("1.0.0"));
        match self.uploads.borrow().get(id_of(request)) {
            Some(upload) if !upload.finished => answer_with(200, &[("upload-offset", upload.bytes.len().to_string())]),
            // A finished upload is no upload any more.
            _ => answer_of(404, ""),
        }
    }

    pub(super) fn tell_info(&self, key: &str) -> Response {
        match self.objects.borrow().get(key) {
            None => storage_error("404", "NoSuchKey", "Object not found"),
            Some(object) => {
                let info = json!({ "name": key, "version": object.version, "size": object.bytes.len(),
                    "content_type": object.mime_type });
                answer_of(200, &info.to_string())
            }
        }
    }
}

/// What has to be on every request that carries a piece.
fn check_protocol(request: &Request<Bytes>) {
    assert_eq!(header(request, "Tus-Resumable"), Some("1.0.0"));
    assert_eq!(header(request, "x-upsert"), Some("true"), "or the last piece is refused when the object exists");
}
