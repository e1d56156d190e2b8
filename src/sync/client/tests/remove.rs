//! Removing images, with every fault at every step, and ended at every moment.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::fault::{Verdict, faults_at};
use super::worker::{WORKER_URL, problem};
use super::world::{BUCKET, Object, answer_of};
use super::*;
use crate::config::Target;

use crate::wire::http::{Method, Payload, Request, Response};
use crate::wire::remove::ImageRef;
use percent_encoding::percent_decode_str;

const THUMB: &str = "2026-05-11/lighthouse-42.png.thumb";
const OTHER_ID: &str = "00000000-0000-4000-8000-00000000002b";
const OTHER_PATH: &str = "2026-05-11/another-1.png";
const NAMERS: Step = Step::Namers;
const OBJECTS: Step = Step::RemoveObjects;
const ROWS: Step = Step::RemoveRows;
const UNSEEN: Step = Step::RemoveUnseen;

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

impl World {
    /// As the migrations' policies have it: removed is what lies in the user's own folder, the rest is left out.
    pub(super) fn serve_removal(&self, step: Step, request: &Request<Bytes>, user: &str) -> Response {
        let sees = |row: &Value| !self.row_level_security.get() || row["owner_user_id"] == user;
        let holds = |path: &str| !self.row_level_security.get() || path.split('/').next() == Some(user);
        let query = |name: &str| {
            let value = request.url.split(name).nth(1).unwrap_or_default().split('&').next().unwrap();
            percent_decode_str(value).decode_utf8().unwrap().into_owned()
        };
        match (step, &request.payload) {
            (Step::Namers, Payload::Empty) => {
                let path = query("storage_path=eq.");
                let rows = self.seen_rows();
                let named = rows.iter().filter(|row| sees(row) && row["storage_path"] == *path);
                answer_of(200, &named.cloned().collect::<Value>().to_string())
            }
            (Step::RemoveObjects, Payload::Json(text)) => {
                let asked: Value = serde_json::from_str(text).unwrap();
                let names = texts(&asked["prefixes"]);
                let mut objects = self.objects.borrow_mut();
                let gone = names.into_iter().filter(|name| holds(name) && objects.remove(*name).is_some());
                answer_of(
                    200,
                    &gone.map(|name| json!({ "name": name, "bucket_id": BUCKET })).collect::<Value>().to_string(),
                )
            }
            (Step::RemoveRows | Step::RemoveUnseen, Payload::Empty) => {
                assert_eq!(request.header_value("Prefer"), Some("return=representation"));
                let (id, path, ids) = (query("?id=eq."), query("?storage_path=eq."), query("?id=in.("));
                let ids: Vec<&str> = ids.trim_end_matches(')').split(',').collect();
                let owner = query("&owner_user_id=eq.");
                let goes = |row: &Value| {
                    let is_asked =
                        ids.contains(&row["id"].as_str().unwrap()) || row["id"] == *id || row["storage_path"] == *path;
                    let is_owners = owner.is_empty() || row["owner_user_id"] == *owner;
                    is_asked && is_owners && sees(row) && holds(row["storage_path"].as_str().unwrap())
                };
                let (gone, left) = self.rows.take().into_iter().partition::<Vec<_>, _>(goes);
                self.rows.replace(left);
                let told = |row: &Value| json!({ "id": row["id"], "storage_path": row["storage_path"] });
                answer_of(200, &gone.iter().map(told).collect::<Value>().to_string())
            }
            (Step::HandRemoval, Payload::Empty) => {
                let id = request.url.split("/api/images/").nth(1).unwrap().split('?').next().unwrap().to_owned();
                let path = match self.rows_of(&id).pop() {
                    Some(row) if row["owner_user_id"] != user => return problem(403, "not_yours"),
                    Some(row) => row["storage_path"].clone(),
                    None if request.url.contains("?storagePath=") => query("storagePath=").into(),
                    None => Value::Null,
                };
                self.worker.removed.borrow_mut().insert(id.clone());
                self.worker.staged.borrow_mut().remove(&id);
                self.rows.borrow_mut().retain(|row| row["id"] != *id);
                let is_named = self.rows.borrow().iter().any(|row| row["storage_path"] == path);
                let incoming = format!("{user}/.incoming/{id}");
                self.objects.borrow_mut().retain(|name, _| *name != incoming && (is_named || path != *name));
                answer_of(200, &json!({ "imageId": id, "storagePath": path }).to_string())
            }
            _ => panic!("{step:?} with another payload: {:?}", Method::as_str(request.method)),
        }
    }

    pub(super) fn put(&self, path: &str) {
        let object = Object { bytes: image(PNG), mime_type: "image/png".to_owned(), version: String::new() };
        self.objects.borrow_mut().insert(path.to_owned(), object);
    }

    fn put_row(&self, id: &str, owner: &str, path: &str) {
        self.put(path);
        self.rows.borrow_mut().push(json!({ "id": id, "owner_user_id": owner, "storage_path": path }));
    }
}

/// One image with its thumbnail, and another one.
fn world() -> World {
    let world = World::new();
    world.put_row(IMAGE_ID, OWNER, PATH);
    world.put(THUMB);
    world.put_row(OTHER_ID, OWNER, OTHER_PATH);
    world
}

fn by_id() -> ImageRef {
    ImageRef { image_id: Some(IMAGE_ID.to_owned()), storage_path: None }
}

fn by_path(path: &str) -> ImageRef {
    ImageRef { image_id: None, storage_path: Some(path.to_owned()) }
}

fn removed() -> ImageRef {
    ImageRef { image_id: Some(IMAGE_ID.to_owned()), storage_path: Some(PATH.to_owned()) }
}

fn remove(world: &World, client: &Client<World>, image: &ImageRef) -> Result<ImageRef, Error> {
    world.run(client.remove(image.clone(), &call(None).0))
}

fn assert_no_object_without_row(world: &World, context: &dyn core::fmt::Debug) {
    let rows = world.rows.borrow();
    for name in world.objects.borrow().keys() {
        let path = name.trim_end_matches(".thumb");
        assert!(rows.iter().any(|row| row["storage_path"] == path), "{name} without its row: {context:?}");
    }
}

fn assert_gone(world: &World, context: &dyn core::fmt::Debug) {
    assert_no_object_without_row(world, context);
    assert!(world.rows_of(IMAGE_ID).is_empty(), "the row is there: {context:?}");
    assert_eq!(world.objects.borrow().keys().collect::<Vec<_>>(), [OTHER_PATH], "{context:?}");
    assert_eq!(world.rows_of(OTHER_ID).len(), 1, "another image's row: {context:?}");
}

#[test]
fn an_image_goes_with_its_thumbnail_and_its_row_last() {
    for (image, steps) in [(by_id(), vec![BACK, NAMERS, OBJECTS, ROWS]), (by_path(PATH), vec![NAMERS, OBJECTS, ROWS])] {
        let world = world();
        assert_eq!(remove(&world, &client(&world, options()), &image).unwrap(), removed());
        assert_eq!(world.steps(), steps);
        assert_gone(&world, &image);
    }
}

#[test]
fn removing_again_is_the_same_success() {
    let world = world();
    let client = client(&world, options());
    remove(&world, &client, &by_id()).unwrap();
    let again = remove(&world, &client, &by_id()).unwrap();
    assert_eq!(again, ImageRef { storage_path: None, ..removed() });
    let by_path = remove(&world, &client, &by_path(PATH)).unwrap();
    assert_eq!(by_path, ImageRef { image_id: None, ..removed() });
    assert_gone(&world, &"three times");
}

#[test]
fn what_an_upload_left_without_its_row_goes_by_its_path() {
    let world = world();
    world.rows.borrow_mut().retain(|row| row["id"] != IMAGE_ID);
    let both = ImageRef { storage_path: Some(PATH.to_owned()), ..by_id() };
    assert_eq!(remove(&world, &client(&world, options()), &both).unwrap(), removed());
    assert_gone(&world, &"an orphan");
}

#[test]
fn an_object_stays_as_long_as_another_row_names_it() {
    let world = world();
    world.put_row(OTHER_ID, OWNER, PATH);
    let client = client(&world, options());
    assert_eq!(remove(&world, &client, &by_id()).unwrap(), removed());
    assert_eq!(world.steps(), [BACK, NAMERS, ROWS, NAMERS]);
    assert!(world.objects.borrow().contains_key(PATH) && world.objects.borrow().contains_key(THUMB));
    remove(&world, &client, &by_path(PATH)).unwrap();
    assert!(!world.objects.borrow().contains_key(PATH) && !world.objects.borrow().contains_key(THUMB));
}

#[test]
fn an_object_that_hundreds_of_rows_name_goes_by_requests_of_bounded_length() {
    let world = World::new();
    for number in 0..250 {
        world.put_row(&format!("00000000-0000-4000-8000-{number:012}"), OWNER, PATH);
    }
    world.put_row(OTHER_ID, OWNER, OTHER_PATH);
    remove(&world, &client(&world, options()), &by_path(PATH)).unwrap();
    assert_gone(&world, &"hundreds of rows");
    assert_eq!(world.steps(), [NAMERS, ROWS, NAMERS, ROWS, NAMERS, OBJECTS, Step::Info, ROWS]);
    let longest = world.sent.borrow().iter().map(|sent| sent.url.len()).max().unwrap();
    assert!(longest < 4096, "an address of {longest} bytes");
}

#[test]
fn two_rows_of_one_object_that_go_at_once_leave_nothing() {
    let world = World::new();
    world.latency_ms.set(10);
    for id in [IMAGE_ID, OTHER_ID] {
        world.put_row(id, OWNER, PATH);
    }
    let images = [IMAGE_ID, OTHER_ID].map(|id| Ok(ImageRef { image_id: Some(id.to_owned()), storage_path: None }));
    let client = client(&world, options());
    let (call, _) = call(None);
    let outcomes = world.run(client.remove_many(images.into(), 2, &call));
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(world.rows.borrow().is_empty() && world.objects.borrow().is_empty());
}

/// What looks for rows see of them by and by: nothing, all, or none of those that are removed.
fn replicas(world: &World) -> Vec<VecDeque<Vec<Value>>> {
    let all = world.rows.borrow().clone();
    let lags = [vec![], all];
    let next =
        |lag: &VecDeque<Vec<Value>>| lags.iter().map(|state| lag.iter().chain([state]).cloned().collect()).collect();
    (0..3).fold(vec![VecDeque::new()], |found: Vec<VecDeque<_>>, _| {
        found.iter().flat_map(|lag| -> Vec<_> { next(lag) }).collect()
    })
}

#[test]
fn a_copy_of_the_database_that_lags_behind_hides_no_row_from_its_removal() {
    for image in [by_id(), by_path(PATH), removed()] {
        for replica in replicas(&world()) {
            let world = world();
            let context = (image.clone(), replica.clone());
            world.replica.replace(replica);
            assert_eq!(remove(&world, &client(&world, options()), &image).unwrap(), removed(), "{context:?}");
            assert_gone(&world, &context);
        }
    }
}

#[test]
fn every_fault_where_no_row_is_seen_ends_well_or_is_told_and_can_be_repeated() {
    for (image, fault) in faults_at(UNSEEN).into_iter().flat_map(|fault| [(by_path(PATH), fault), (removed(), fault)]) {
        let world = world();
        let context = (&image, fault);
        world.replica.replace([vec![]].into());
        world.plan(UNSEEN, &[fault]);
        let client = client(&world, options());
        if let Err(error) = remove(&world, &client, &image) {
            assert_eq!((error.stage, error.code), (Stage::Remove, fault.code), "{context:?}");
        }
        assert_no_object_without_row(&world, &context);
        world.heal();
        remove(&world, &client, &image).unwrap();
        assert_gone(&world, &context);
    }
}

#[test]
fn an_image_that_comes_to_the_path_while_a_removal_waits_to_be_tried_again_stays_whole() {
    for fault_name in ["answer lost", "cut before it arrives", "503"] {
        let world = world();
        world.latency_ms.set(10);
        world.plan(OBJECTS, &[super::fault::fault(fault_name)]);
        let client = client(&world, options());
        let newcomer = "00000000-0000-4000-8000-00000000002c";
        let results = RefCell::new(Vec::new());
        let (calls, results_of) = ([call(None).0, call(None).0], &results);
        let removal = async {
            let removed = client.remove(by_id(), &calls[0]).await;
            results_of.borrow_mut().push(removed.map(drop));
        };
        let arrival = async {
            world.pass(100).await;
            let meta = ImageMeta { image_id: Some(newcomer.to_owned()), ..request().meta };
            let synced = client.sync(SyncRequest { meta, ..request() }, &calls[1]).await;
            results_of.borrow_mut().push(synced.map(drop));
        };
        world.run(crate::race::all_of(vec![Box::pin(removal) as Racer<'_, ()>, Box::pin(arrival)]));
        assert!(results.borrow().iter().all(Result::is_ok), "{fault_name}: {results:?}");
        assert!(world.rows_of(IMAGE_ID).is_empty(), "{fault_name}");
        assert_delivered(&world, newcomer, PATH, PNG, &fault_name);
    }
}

#[test]
fn every_fault_at_every_step_of_a_removal_ends_well_or_is_told_and_can_be_repeated() {
    let steps = [BACK, NAMERS, OBJECTS, Step::Info, ROWS, Step::ReadBackMany];
    let mut runs = 0;
    for step in steps {
        for fault in faults_at(step) {
            // What makes the steps necessary that are none of a removal without faults.
            for before in [&[][..], &[(OBJECTS, "answer lost")], &[(ROWS, "answer lost")]] {
                for times in [1, 2, 3] {
                    let world = world();
                    before.iter().for_each(|(step, name)| world.plan(*step, &[super::fault::fault(name)]));
                    world.plan(step, &vec![fault; times]);
                    let client = client(&world, options());
                    let context = (step, fault, before, times);
                    let result = remove(&world, &client, &by_id());
                    let came = world.hits.borrow().iter().filter(|(at, _)| *at == step).count();
                    let is_own = before.iter().any(|(at, _)| *at == step);
                    match result {
                        Ok(found) => {
                            assert_eq!(found, removed(), "{context:?}");
                            assert_gone(&world, &context);
                        }
                        // That there is no such object is a refusal, of which the words may be lost.
                        Err(error) if step == Step::Info && error.code == Code::BadResponse && error.retryable => {
                            assert!(came > 2, "{error:?} {context:?}");
                        }
                        Err(error) => {
                            let is_final = !matches!(fault.verdict, Verdict::Again | Verdict::After(_));
                            assert!(is_final || came > 2 || is_own, "{error:?} {context:?}");
                            // Of an object Storage says that there is no bucket to who has asked it with a token that it refuses.
                            let is_of_token = step == Step::Info && fault.code == Code::BucketMissing;
                            let code = if is_of_token { Code::Unauthorized } else { fault.code };
                            assert_eq!((error.stage, error.code), (Stage::Remove, code), "{context:?}");
                            assert_eq!(error.image_id.as_deref(), Some(IMAGE_ID), "{context:?}");
                            assert_no_secret(&error, &[KEY]);
                        }
                    }
                    assert_no_object_without_row(&world, &context);
                    world.heal();
                    remove(&world, &client, &by_id()).unwrap();
                    assert_gone(&world, &context);
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 1000, "{runs}");
}

#[test]
fn a_removal_that_ends_at_any_moment_is_finished_by_the_same_call() {
    let moments = {
        let world = world();
        remove(&world, &client(&world, options()), &by_id()).unwrap();
        world.moments.get()
    };
    assert_eq!(moments, 8, "before and after each of four requests");
    for moment in 0..moments {
        let world = world();
        let client = client(&world, options());
        world.kill_at.set(Some(moment));
        assert!(world.run_until_dead(client.remove(by_id(), &call(None).0)).is_none(), "{moment}");
        assert_no_object_without_row(&world, &moment);
        remove(&world, &client, &by_id()).unwrap();
        assert_gone(&world, &moment);
    }
}

#[test]
fn what_a_policy_keeps_is_forbidden_and_not_a_success() {
    let user = "aaaaaaaa-0000-4000-8000-00000000000a";
    let client_of = |world: &World| {
        world.row_level_security.set(true);
        world.tokens.replace([Ok(format!("{user}.token"))].into());
        client(world, Options { owner_user_id: Some(user.to_owned()), as_user: true, ..options() })
    };
    // Written by the server under a path without the user's folder: readable, and no more.
    let world = World::new();
    world.put_row(IMAGE_ID, user, PATH);
    let error = remove(&world, &client_of(&world), &by_id()).unwrap_err();
    assert_eq!((error.stage, error.code, error.retryable), (Stage::Remove, Code::Forbidden, false));
    assert!(error.message.contains("object is still there"), "{error:?}");
    assert_eq!(world.rows_of(IMAGE_ID).len(), 1, "the row names what is left");
    // The same of a row whose object has gone.
    let world = World::new();
    world.put_row(IMAGE_ID, user, PATH);
    world.objects.borrow_mut().clear();
    let error = remove(&world, &client_of(&world), &by_id()).unwrap_err();
    assert!(error.code == Code::Forbidden && error.message.contains("row is still there"), "{error:?}");
    // Another user's is not there, for all that this one can see.
    let world = World::new();
    world.put_row(IMAGE_ID, OWNER, &format!("{OWNER}/a.png"));
    let client = client_of(&world);
    assert_eq!(remove(&world, &client, &by_id()).unwrap().storage_path, None);
    world.sent.take();
    let error = remove(&world, &client, &by_path(&format!("{OWNER}/a.png"))).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("storagePath")));
    assert!(world.sent.borrow().is_empty() && world.rows.borrow().len() == 1 && world.objects.borrow().len() == 1);
}

#[test]
fn the_service_removes_only_the_owners_that_it_is_told() {
    let world = world();
    let other = Some("bbbbbbbb-0000-4000-8000-00000000000b".to_owned());
    let client_of = |owner_user_id| client(&world, Options { owner_user_id, ..options() });
    for image in [by_id(), by_path(PATH)] {
        let error = remove(&world, &client_of(other.clone()), &image).unwrap_err();
        assert_eq!((error.stage, error.code), (Stage::Remove, Code::Forbidden), "{image:?}");
        assert_eq!((world.rows.borrow().len(), world.objects.borrow().len()), (2, 3), "{image:?}");
    }
    // An empty name is a mistake of whoever looked one up.
    let sent = world.steps();
    let error = remove(&world, &client_of(Some(String::new())), &by_path(PATH)).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("ownerUserId")));
    assert_eq!(world.steps(), sent, "nothing is asked");
    assert_eq!(remove(&world, &client_of(None), &by_path(PATH)).unwrap(), removed());
    assert_gone(&world, &"no owner is told");
}

#[test]
fn what_names_no_image_is_refused_before_anything_is_sent() {
    let world = World::new();
    let client = client(&world, options());
    let id = |id: &str| ImageRef { image_id: Some(id.to_owned()), storage_path: None };
    for (image, field) in [
        (ImageRef::default(), "imageId"),
        (id("7"), "imageId"),
        (by_path("../x"), "storagePath"),
        (by_path(""), "storagePath"),
    ] {
        let error = remove(&world, &client, &image).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some(field)), "{image:?}");
    }
    assert!(world.sent.borrow().is_empty());
}

#[test]
fn each_of_many_has_its_own_outcome_also_of_a_call_that_was_stopped() {
    let world = world();
    world.latency_ms.set(10);
    let client = client(&world, options());
    let images = || {
        let unreadable = Err(Error::field("imageId", "must be a string"));
        vec![Ok(by_id()), unreadable, Ok(by_path(OTHER_PATH))]
    };
    let codes = |outcomes: Vec<Result<ImageRef, Error>>| {
        outcomes.into_iter().map(|outcome| outcome.err().map(|error| error.code)).collect::<Vec<_>>()
    };
    let stopped = codes(world.run(client.remove_many(images(), 1, &aborted_after(&world, 25).0)));
    assert_eq!(stopped, [Some(Code::Aborted); 3]);
    let whole = world.run(client.remove_many(images(), 1, &call(None).0));
    assert_eq!(codes(whole), [None, Some(Code::InvalidRequest), None]);
    assert!(world.rows.borrow().is_empty() && world.objects.borrow().is_empty());
}

#[test]
fn the_worker_removes_in_one_request_with_every_fault() {
    let user = "aaaaaaaa-0000-4000-8000-00000000000a";
    let start = || {
        let world = world();
        world.rows.borrow_mut().iter_mut().for_each(|row| row["owner_user_id"] = json!(user));
        world.objects.borrow_mut().remove(THUMB);
        world.tokens.replace([Ok(format!("{user}.token"))].into());
        let url = Some(WORKER_URL.to_owned());
        let options =
            Options { url, target: Target::Worker, as_user: true, max_retries: Some(2), ..Options::default() };
        (world.clone(), client(&world, options))
    };
    for fault in faults_at(Step::HandRemoval) {
        let (world, client) = start();
        world.plan(Step::HandRemoval, &[fault]);
        match remove(&world, &client, &by_id()) {
            Ok(found) => assert_eq!(found.image_id.as_deref(), Some(IMAGE_ID)),
            Err(error) => assert_eq!((error.stage, error.code), (Stage::Remove, fault.code), "{fault:?}"),
        }
        world.heal();
        remove(&world, &client, &by_id()).unwrap();
        assert_gone(&world, &fault);
    }
    let (world, client) = start();
    world.tokens.replace([Ok("another.token".to_owned())].into());
    let error = remove(&world, &client, &by_id()).unwrap_err();
    assert_eq!((error.code, error.server_code.as_deref()), (Code::Forbidden, Some("not_yours")));
}
