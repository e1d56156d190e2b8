//! The world `command`: sends a folder of images. See `wit/cloud.wit`.

use std::env;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::folder::{self, Named};
use crate::config::{Config, Options};
use crate::error::Error;
use crate::host::Platform;
use crate::host::wasi::run::block_on;
use crate::host::wasi::{Wasi, WasiBytes};
use crate::image::meta::SyncRequest;
use crate::sync::call::{self, Call, Nobody};
use crate::sync::client::Client;

/// Files of one call.
const AT_ONCE: usize = 50;
/// Uploads side by side.
const CONCURRENCY: u32 = 6;

type Request = SyncRequest<WasiBytes>;

struct Command;

#[allow(unsafe_code)]
mod exported {
    use super::Command;

    wasip2::cli::command::export!(Command);
}

impl wasip2::exports::cli::run::Guest for Command {
    fn run() -> Result<(), ()> {
        run()
    }
}

/// Sends the folder that is the first argument, or the current one.
fn run() -> Result<(), ()> {
    let folder = env::args().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let client = match connect() {
        Ok(client) => client,
        Err(error) => return fail(&error.message),
    };
    let images = match folder::images(&folder) {
        Ok(images) => images,
        Err(problem) => return fail(&format!("{}: {problem}", folder.display())),
    };
    let mut count = Count::default();
    for some in images.chunks(AT_ONCE) {
        block_on(Box::pin(send(&client, &folder, some, &mut count)));
    }
    eprintln!("{} sent, {} were there, {} failed", count.sent, count.known, count.failed);
    if count.failed == 0 { Ok(()) } else { Err(()) }
}

fn fail(problem: &str) -> Result<(), ()> {
    eprintln!("{problem}");
    Err(())
}

fn connect() -> Result<Client<Wasi>, Error> {
    let host = Wasi::default();
    let options = Config::options_from_env(&|name| env::var(name).ok(), &|text| host.parse_json(text))?;
    Ok(Client::new(Config::new(Options { require_image: true, ..options }, false)?, host))
}

#[derive(Default)]
struct Count {
    sent: u32,
    known: u32,
    failed: u32,
}

impl Count {
    fn fail(&mut self, image: &Named, error: &Error) {
        self.failed += 1;
        eprintln!("{}: {}", image.file, error.message);
    }
}

/// Sends those of some images that have no row yet.
async fn send(client: &Client<Wasi>, folder: &Path, images: &[Named], count: &mut Count) {
    let call = Call::new(Rc::new(Nobody), call::Options::default());
    let owner = client.owner().map(|owner| owner.id.as_str()).unwrap_or_default();
    let (mut named, mut requests, mut shipments) = (Vec::new(), Vec::new(), Vec::new());
    for image in images {
        let request = image.request(folder, owner);
        let shipped = async { client.ship(request.clone()?).await };
        match shipped.await {
            Ok(shipment) => {
                named.push(image);
                shipments.push(shipment);
                requests.push(request);
            }
            Err(error) => count.fail(image, &error),
        }
    }
    let mut known = Vec::new();
    if let Err(error) = client.find_arrived(&shipments.iter().collect::<Vec<_>>(), false, &mut known, &call).await {
        return named.into_iter().for_each(|image| count.fail(image, &error));
    }
    let is_new = |request: &Result<Request, Error>| {
        request.as_ref().is_ok_and(|request| request.image_id.as_ref().is_none_or(|id| !known.contains(id)))
    };
    let (named, requests): (Vec<_>, Vec<_>) =
        named.into_iter().zip(requests).filter(|(_, request)| is_new(request)).unzip();
    count.known += known.len() as u32;
    let outcomes = client.sync_many(requests, CONCURRENCY, &call).await;
    for (image, outcome) in named.into_iter().zip(outcomes) {
        match outcome {
            Ok(synced) => {
                count.sent += 1;
                println!("{}", synced.storage_path);
            }
            Err(error) => count.fail(image, &error),
        }
    }
}
