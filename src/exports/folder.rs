//! A folder of images in the layout of the seed: `YYYY-MM-DD/SLUG-SEED.png`, each with what is known of it in a JSON file beside it.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};
use uuid::Builder;

use super::members::{Members, read_object};
use crate::error::Error;
use crate::host::wasi::{File, WasiBytes};
use crate::image::meta::SyncRequest;
use crate::image::row::ImageMeta;
use crate::json::Json;

const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "avif", "gif"];
/// Bytes of a file that are in hand at once.
const PIECE: u64 = 64 * 1024;

/// An image as its place tells it.
#[derive(Debug)]
pub(super) struct Named {
    /// Below the folder, with slashes.
    pub(super) file: String,
    date: String,
    slug: String,
    seed: i64,
    ext: String,
}

/// All images of a folder, by their names; the error is what the system says.
pub(super) fn images(folder: &Path) -> Result<Vec<Named>, String> {
    let mut files = Vec::new();
    visit(folder, "", &mut files).map_err(|problem| problem.to_string())?;
    files.sort();
    Ok(files.into_iter().filter_map(named).collect())
}

fn visit(folder: &Path, below: &str, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.file_type()?.is_dir() {
            true => visit(&entry.path(), &format!("{below}{name}/"), files)?,
            false => files.push(format!("{below}{name}")),
        }
    }
    Ok(())
}

/// What a file's place says of it; nothing where it is no image of this layout.
fn named(file: String) -> Option<Named> {
    let (date, name) = file.split_once('/')?;
    let (stem, ext) = name.rsplit_once('.')?;
    let (slug, seed) = stem.rsplit_once('-')?;
    // Of two hyphens the second is the seed's.
    let (slug, sign) = slug.strip_suffix('-').map_or((slug, ""), |slug| (slug, "-"));
    let seed = Some(seed).filter(|seed| seed.bytes().all(|digit| digit.is_ascii_digit()))?;
    let seed = format!("{sign}{seed}").parse().ok()?;
    let is_date =
        date.bytes().enumerate().all(|(at, c)| if at == 4 || at == 7 { c == b'-' } else { c.is_ascii_digit() });
    if slug.is_empty() || date.len() != 10 || !is_date || !ENDINGS.contains(&ext) {
        return None;
    }
    let (date, slug, ext) = (date.to_owned(), slug.to_owned(), ext.to_owned());
    Some(Named { file, date, slug, seed, ext })
}

impl Named {
    /// The request for this image, whose bytes stay in their file.
    pub(super) fn request(&self, folder: &Path, owner: &str) -> Result<SyncRequest<WasiBytes>, Error> {
        let path = folder.join(&self.file);
        let beside = path.with_extension("json");
        let sidecar = fs::read_to_string(&beside)
            .map_err(|problem| Error::field("sidecar", &format!("{}: {problem}", beside.display())))?;
        let (known, sidecar) = read_object("sidecar", &sidecar)?;
        let said = |name: &str| known.get(name).filter(|value| **value != Json::Null).cloned();
        let image = WasiBytes::from(File::open(&path).map_err(|problem| Error::image(&problem))?);
        let image_id = self.id(&image, owner).map_err(|problem| Error::image(&problem))?;
        let meta: ImageMeta = Members::default()
            .with("imageId", image_id)
            .with("date", self.date.clone())
            .with("slug", self.slug.clone())
            .with("seed", self.seed)
            .with("ext", self.ext.clone())
            .with_some("prompt", said("prompt"))
            .with_some("backend", said("backend"))
            .with_some("model", said("model"))
            .with_some("steps", said("steps"))
            .with_some("latencyMs", said("latency_ms"))
            .with_some("costUsdEstimate", said("cost_usd_estimate"))
            .with("sidecar", sidecar)
            .read(Error::field)?;
        Ok(SyncRequest { meta, image })
    }

    /// The same file has the same id whenever it is sent: a UUID (version 8) of owner, name and bytes, as `examples/node-folder`
    /// makes it.
    fn id(&self, image: &WasiBytes, owner: &str) -> Result<String, String> {
        let mut hash = Sha256::new();
        hash.update(format!("{owner}\0{}\0", self.file));
        let mut at = 0;
        loop {
            let piece = image.piece(at, PIECE)?;
            if piece.is_empty() {
                break;
            }
            hash.update(&piece);
            at += piece.len() as u64;
        }
        let mut id = [0; 16];
        id.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Ok(Builder::from_custom_bytes(id).into_uuid().to_string())
    }
}
