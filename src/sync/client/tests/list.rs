//! Pages of rows with their links, with every fault at both requests.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::fault::{Verdict, faults_at};
use super::world::{Object, Trouble, answer_of};
use super::*;
use crate::wire::http::{Request, Response};
use crate::wire::link::Transform;
use crate::wire::list::Query;

const AT: &str = "2026-05-11T08:00:00.123456+00:00";

impl World {
    /// The rows behind a cursor, in the order that is asked for.
    pub(super) fn serve_list(&self, request: &Request<Bytes>) -> Response {
        let url = percent_decode_str(&request.url).decode_utf8().unwrap().into_owned();
        let query =
            |name: &str| url.split(name).nth(1).map(|rest| rest.split(['&', ',', ')']).next().unwrap().to_owned());
        assert!(url.contains("&order=created_at.desc,id.asc&limit="), "{url}");
        let (at, id) = (query("&created_at=lte."), query("id.gt."));
        let is_behind = |row: &Value| {
            let (created_at, own) = (row["created_at"].as_str().unwrap(), row["id"].as_str().unwrap());
            at.as_deref().is_none_or(|at| created_at < at || created_at == at && own > id.as_deref().unwrap())
        };
        let owner = query("&owner_user_id=eq.").unwrap();
        let mut rows: Vec<Value> =
            self.rows.borrow().iter().filter(|row| row["owner_user_id"] == *owner).cloned().collect();
        rows.retain(is_behind);
        let only = query("&id=in.(");
        rows.retain(|row| only.as_deref().is_none_or(|id| row["id"] == id));
        rows.sort_by_key(|row| (core::cmp::Reverse(row["created_at"].to_string()), row["id"].to_string()));
        let limit: usize = query("limit=").unwrap().parse().unwrap();
        rows.truncate(limit.min(self.max_rows.get().unwrap_or(limit)));
        answer_of(200, &json!(rows).to_string())
    }
}

/// So many images of one bulk insert, an older one, and another user's.
fn world(count: usize) -> World {
    let world = World::new();
    let put = |id: usize, owner: &str, at: &str| {
        let path = format!("{owner}/{id}.png");
        let object = Object { bytes: image(PNG), mime_type: "image/png".to_owned(), version: String::new() };
        world.objects.borrow_mut().insert(path.clone(), object);
        world.rows.borrow_mut().push(json!({ "id": format!("00000000-0000-4000-8000-{id:012}"), "created_at": at,
            "owner_user_id": owner, "storage_path": path }));
    };
    (0..count).for_each(|id| put(id, OWNER, AT));
    put(9998, OWNER, "2026-05-11T08:00:00.123455+00:00");
    put(9999, "another", AT);
    world
}

fn query(limit: u32) -> Query {
    Query { limit: Some(limit), link: Some(Link::for_seconds(60)), ..Query::default() }
}

#[test]
fn a_page_comes_with_its_links_by_two_requests() {
    let world = world(3);
    let client = client(&world, options());
    let (page, links) = world.run(client.list(&query(2), &call(None).0)).unwrap();
    assert_eq!(world.steps(), [Step::List, Step::SignMany]);
    assert_eq!((page.paths.len(), links.len(), page.before.is_some()), (2, 2, true));
    assert!(links.iter().all(|link| link.as_deref().unwrap().starts_with(URL)));
    let plain = Query { link: None, ..query(2) };
    world.sent.take();
    assert!(world.run(client.list(&plain, &call(None).0)).unwrap().1.is_empty());
    assert_eq!(world.steps(), [Step::List]);
}

#[test]
fn an_empty_owner_is_not_everybody() {
    let world = world(3);
    let client = client(&world, Options { owner_user_id: Some(String::new()), ..options() });
    let error = world.run(client.list(&query(9), &call(None).0)).unwrap_err();
    assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("ownerUserId")));
    assert!(world.steps().is_empty(), "nothing is asked");
    let named = Query { owner: Some("another".to_owned()), ..query(9) };
    assert_eq!(world.run(client.list(&named, &call(None).0)).unwrap().0.paths.len(), 1);
}

#[test]
fn page_by_page_each_image_is_there_once_though_all_share_their_time() {
    let limits = [1, 7, 25, 26, 500].map(|limit| (limit, None));
    // A server may give fewer than are asked for, and not say so.
    let cut = [(24, Some(10)), (7, Some(7)), (7, Some(8)), (500, Some(13)), (2, Some(1))];
    for (limit, max_rows) in limits.into_iter().chain(cut) {
        let world = world(25);
        world.max_rows.set(max_rows);
        let client = client(&world, options());
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let next = Query { before, link: None, ..query(limit) };
            let (page, _) = world.run(client.list(&next, &call(None).0)).unwrap();
            seen.extend(page.paths.iter().map(|path| path.as_str().to_owned()));
            before = page.before;
            if before.is_none() {
                break;
            }
        }
        let wanted: Vec<String> = (0..25).chain([9998]).map(|id| format!("{OWNER}/{id}.png")).collect();
        assert_eq!(seen, wanted, "{limit} {max_rows:?}");
    }
}

#[test]
fn whether_there_are_more_is_asked_beside_the_links_and_only_where_it_is_not_plain() {
    let world = world(3);
    world.latency_ms.set(40);
    let (client, began) = (client(&world, options()), world.now_ms());
    let last = world.run(client.list(&query(24), &call(None).0)).unwrap().0;
    assert_eq!((last.paths.len(), last.before, world.now_ms() - began), (4, None, 80));
    assert_eq!(world.steps(), [Step::List, Step::List, Step::SignMany]);
    for (ids, owner) in [(vec!["00000000-0000-4000-8000-000000000001"], OWNER), (vec![], "nobody")] {
        world.sent.take();
        let ids = Some(ids.into_iter().map(str::to_owned).collect()).filter(|ids: &Vec<_>| !ids.is_empty());
        let few = Query { ids, owner: Some(owner.to_owned()), link: None, ..query(24) };
        assert_eq!(world.run(client.list(&few, &call(None).0)).unwrap().0.before, None);
        assert_eq!(world.steps(), [Step::List]);
    }
}

#[test]
fn who_cannot_be_told_whether_there_are_more_is_told_that() {
    for fault in faults_at(Step::List) {
        let world = world(3);
        let client = client(&world, options());
        world.troubles.borrow_mut().extend((1..10).map(|nth| (nth, Trouble::Fault(fault))));
        match world.run(client.list(&Query { link: None, ..query(24) }, &call(None).0)) {
            Ok((page, _)) => assert!(page.before.is_none(), "{fault:?}"),
            Err(error) => assert_eq!((error.stage, error.code), (Stage::List, fault.code), "{fault:?}"),
        }
    }
}

#[test]
fn links_to_small_pictures_are_signed_with_the_others() {
    let world = world(3);
    let put = |path: String| {
        let object = Object { bytes: image(PNG), mime_type: "image/png".to_owned(), version: String::new() };
        world.objects.borrow_mut().insert(path, object);
    };
    put(format!("{OWNER}/1.png.thumb"));
    let small = Query { thumbnails: true, ..query(2) };
    let (_, links) = world.run(client(&world, options()).list(&small, &call(None).0)).unwrap();
    assert_eq!(links.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true]);
    assert!(links[3].as_deref().unwrap().contains("1.png.thumb?"), "{links:?}");
    assert_eq!(world.steps(), [Step::List, Step::SignMany]);
    world.sent.borrow_mut().clear();
    let transform = Some(Transform { width: Some(9), ..Transform::default() });
    let transformed = Query { link: Some(Link { transform, ..Link::for_seconds(60) }), ..small.clone() };
    let (_, links) = world.run(client(&world, options()).list(&transformed, &call(None).0)).unwrap();
    assert_eq!(links.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(world.steps(), [Step::List, Step::Sign, Step::Sign, Step::SignMany], "small ones are small already");
    let linkless = Query { link: None, ..small };
    assert_eq!(linkless.check().unwrap_err().field.as_deref(), Some("thumbnail"));
}

#[test]
fn a_link_is_none_where_the_object_is_gone() {
    let world = world(2);
    world.objects.borrow_mut().remove(&format!("{OWNER}/0.png"));
    let (_, links) = world.run(client(&world, options()).list(&query(9), &call(None).0)).unwrap();
    assert_eq!(links.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn every_fault_at_every_step_of_a_list_ends_well_or_is_told() {
    for (step, stage) in [(Step::List, Stage::List), (Step::SignMany, Stage::Sign)] {
        for fault in faults_at(step) {
            for times in [1, 3] {
                let world = world(3);
                world.plan(step, &vec![fault; times]);
                let context = (step, fault, times);
                match world.run(client(&world, options()).list(&query(2), &call(None).0)) {
                    Ok((page, links)) => assert_eq!((page.paths.len(), links.len()), (2, 2), "{context:?}"),
                    Err(error) => {
                        let is_final = !matches!(fault.verdict, Verdict::Again | Verdict::After(_));
                        assert!(is_final || times == 3, "{error:?} {context:?}");
                        assert_eq!((error.stage, error.code), (stage, fault.code), "{context:?}");
                        assert_no_secret(&error, &[KEY, "eyJ.signed"]);
                    }
                }
            }
        }
    }
}
