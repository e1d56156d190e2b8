//! A model of the Worker: images in forms, tickets, commits, and what it keeps while Supabase is down.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::world::{BUCKET, Bytes, Object, Step, URL, World, answer_of};
use crate::wire::http::{Payload, Request, Response};

pub(crate) const WORKER_URL: &str = "https://pictures.example";

/// What the Worker knows.
#[derive(Default)]
pub(crate) struct Worker {
    /// Whether Supabase is away from it.
    pub(crate) is_cut_off: Cell<bool>,
    /// Images that it keeps meanwhile.
    pub(crate) staged: RefCell<BTreeMap<String, (Value, Bytes)>>,
    /// Images that it had taken and could not bring, and why.
    pub(crate) refused: RefCell<BTreeMap<String, &'static str>>,
    /// Images that were removed.
    pub(crate) removed: RefCell<BTreeSet<String>>,
    pub(crate) tickets_issued: Cell<u32>,
    /// Tickets and their tokens up to this one have ended.
    pub(crate) tickets_ended: Cell<u32>,
    tokens_ended: Cell<u32>,
    /// What was asked for.
    pub(crate) requests: RefCell<Vec<Value>>,
}

impl Worker {
    /// Ends the token of the ticket, and with `ticket` the ticket too.
    pub(crate) fn end_ticket(&self, ticket: bool) {
        self.tokens_ended.set(self.tickets_issued.get());
        if ticket {
            self.tickets_ended.set(self.tickets_issued.get());
        }
    }
}

pub(crate) fn problem(status: u16, code: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": "x", "status": status, "detail": "why", "code": code,
        "requestId": "r" });
    let headers = vec![("content-type", "application/problem+json".to_owned())];
    Response { headers, ..answer_of(status, &body.to_string()) }
}

/// Where an image goes.
fn path_of(asked: &Value, user: &str) -> String {
    let text = |name: &str| asked[name].as_str().unwrap_or_else(|| panic!("no {name}"));
    format!("{user}/{}/{}-{}.{}", text("date"), text("slug"), text("seed"), text("ext"))
}

/// The number in `….7.…`.
fn number_in(token: &str) -> u32 {
    token.split('.').nth(1).unwrap().parse().unwrap()
}

impl World {
    pub(super) fn refuse_signature(&self, request: &Request<Bytes>) -> Option<Response> {
        let token = request.header_value("x-signature")?;
        assert!(token.starts_with("eyJtoken."), "{token}");
        let has_ended = number_in(token) <= self.worker.tokens_ended.get();
        has_ended.then(|| answer_of(400, "\"exp\" claim timestamp check failed"))
    }

    pub(super) fn serve_worker(&self, step: Step, request: &Request<Bytes>, user: &str) -> Response {
        let asked: Value = match &request.payload {
            Payload::Json(text) | Payload::Form(text, _) => serde_json::from_str(text).unwrap(),
            _ => Value::Null,
        };
        if asked.is_object() {
            self.worker.requests.borrow_mut().push(asked.clone());
        }
        let text = |name: &str| asked[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        match step {
            Step::Link => return self.link(request, user),
            Step::Standing => return self.tell_standing(request, user),
            _ => {}
        }
        let image_id = text("imageId");
        if self.worker.removed.borrow().contains(&image_id) {
            return problem(410, "image_removed");
        }
        let path = path_of(&asked, user);
        let incoming = format!("{user}/.incoming/{image_id}");
        let landed = json!({ "storagePath": path, "imageId": image_id });
        let row = self.rows_of(&image_id).pop();
        if row.as_ref().is_some_and(|row| row["owner_user_id"] != user || row["storage_path"] != *path) {
            return problem(409, "id_taken");
        }
        match (step, &request.payload) {
            (Step::Hand, Payload::Form(_, files)) => {
                let [("image", bytes), rest @ ..] = files.as_slice() else { panic!("no image") };
                if self.worker.is_cut_off.get() {
                    self.worker.staged.borrow_mut().insert(image_id.clone(), (asked.clone(), bytes.clone()));
                    let queued = json!({ "storagePath": path, "imageId": image_id, "queued": true });
                    return answer_of(202, &queued.to_string());
                }
                self.bring(&path, &image_id, user, bytes.clone(), &text("mimeType"));
                self.bring_small(&path, rest);
                self.worker.staged.borrow_mut().remove(&image_id);
                answer_of(201, &landed.to_string())
            }
            (Step::Ticket, Payload::Json(_)) => {
                assert!(asked["size"].as_u64().unwrap() > 0 && text("mimeType") == "image/png");
                let nth = self.worker.tickets_issued.get() + 1;
                self.worker.tickets_issued.set(nth);
                let ticket = json!({ "ticket": format!("eyJticket.{nth}.{image_id}"), "expiresAt": 1, "imageId": image_id,
                    "storagePath": path, "bucket": BUCKET, "path": incoming, "token": format!("eyJtoken.{nth}.x"),
                    "resumableUrl": format!("{URL}/storage/v1/upload/resumable/sign"), "uploadUrl": "https://x/?token=eyJ" });
                answer_of(201, &ticket.to_string())
            }
            (Step::Commit, payload) => {
                if let Payload::Form(_, files) = payload {
                    self.bring_small(&path, files);
                }
                let ticket = request.url.split("/api/tickets/").nth(1).unwrap();
                if number_in(ticket) <= self.worker.tickets_ended.get() {
                    return problem(410, "ticket_expired");
                }
                if row.is_none() {
                    let Some(object) = self.objects.borrow().get(&incoming).cloned() else {
                        return problem(409, "not_uploaded");
                    };
                    if object.bytes.len() as u64 != asked["size"].as_u64().unwrap() {
                        return problem(409, "upload_mismatch");
                    }
                    self.bring(&path, &image_id, user, object.bytes, &object.mime_type);
                }
                self.objects.borrow_mut().remove(&incoming);
                answer_of(201, &landed.to_string())
            }
            _ => panic!("{step:?} with another payload"),
        }
    }

    fn tell_standing(&self, request: &Request<Bytes>, user: &str) -> Response {
        let image_id = request.url.split("/api/images/").nth(1).unwrap();
        let told = |mut more: Value, path: &Value| {
            (more["imageId"], more["storagePath"]) = (image_id.into(), path.clone());
            answer_of(200, &more.to_string())
        };
        let row = self.rows_of(image_id).pop().filter(|row| row["owner_user_id"] == user);
        if let Some(row) = row {
            return told(json!({ "prompt": "a picture" }), &row["storage_path"]);
        }
        if self.worker.removed.borrow().contains(image_id) {
            return problem(410, "image_removed");
        }
        if let Some((asked, _)) = self.worker.staged.borrow().get(image_id) {
            return told(json!({ "queued": true }), &path_of(asked, user).into());
        }
        match self.worker.refused.borrow().get(image_id) {
            Some(code) => told(json!({ "refused": code }), &"u/somewhere.png".into()),
            None => problem(404, "not_found"),
        }
    }

    /// What the Worker keeps arrives.
    pub(crate) fn deliver_staged(&self, user: &str) {
        for (image_id, (asked, bytes)) in self.worker.staged.take() {
            let mime_type = asked["mimeType"].as_str().unwrap();
            self.bring(&path_of(&asked, user), &image_id, user, bytes, mime_type);
        }
    }

    fn bring_small(&self, path: &str, files: &[(&'static str, Bytes)]) {
        let [("thumbnail", bytes)] = files else { return assert!(files.is_empty(), "no other part") };
        let object = Object { bytes: bytes.clone(), mime_type: "image/png".to_owned(), version: self.new_version() };
        self.objects.borrow_mut().insert(format!("{path}.thumb"), object);
    }

    fn bring(&self, path: &str, image_id: &str, user: &str, bytes: Bytes, mime_type: &str) {
        let object = Object { bytes, mime_type: mime_type.to_owned(), version: self.new_version() };
        self.objects.borrow_mut().insert(path.to_owned(), object);
        if self.rows_of(image_id).is_empty() {
            let row = json!({ "id": image_id, "owner_user_id": user, "storage_path": path });
            self.rows.borrow_mut().push(row);
        }
    }

    fn link(&self, request: &Request<Bytes>, user: &str) -> Response {
        let query = request.url.split_once("?path=").unwrap().1;
        let (path, ttl) = query.split_once("&ttl=").unwrap();
        assert!(ttl.parse::<u32>().unwrap() > 0);
        let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
        if !path.starts_with(&format!("{user}/")) {
            return problem(403, "not_yours");
        }
        if !self.objects.borrow().contains_key(&*path) {
            return problem(404, "object_missing");
        }
        answer_of(200, &json!({ "url": format!("{URL}/storage/v1/object/sign/{path}?token=eyJ.signed") }).to_string())
    }
}
