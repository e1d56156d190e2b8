//! A request to sync one image becomes a checked [`Shipment`].

use core::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::image::columns;
use crate::image::header::{Format, Header};
use crate::image::path::StoragePath;
use crate::image::row::{ImageMeta, check_length};
use crate::image::slug::slugify;
use crate::json::{Json, to_text};
use crate::limits;
use crate::text::{canonical_id, is_header_safe, name};

const IMAGE_ID: &str = "imageId";

/// A request as it comes, types and ranges checked.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest<B> {
    /// What is said of the image.
    pub meta: ImageMeta,
    /// The platform's handle to its bytes.
    pub image: B,
}

impl<B> Deref for SyncRequest<B> {
    type Target = ImageMeta;

    fn deref(&self) -> &ImageMeta {
        &self.meta
    }
}

impl<B> DerefMut for SyncRequest<B> {
    fn deref_mut(&mut self) -> &mut ImageMeta {
        &mut self.meta
    }
}

/// What is found out about an image before it is sent.
#[derive(Clone, Debug)]
pub struct Found {
    /// Bytes.
    pub size: u64,
    /// What its bytes tell; `None` for bytes of no known format.
    pub header: Option<Header>,
    /// The MIME type that it has by itself, as a `Blob` has. Of interest only where its bytes tell nothing.
    pub own_type: Option<String>,
}

impl Found {
    /// What is known of an image that is still to come: only the type that its sender says it will have.
    pub fn promised(mime_type: &str) -> Self {
        let header = Format::declared_by(mime_type).map(|format| Header { format, size: None });
        Self { size: 1, header, own_type: None }
    }
}

/// What was fixed for an image that others bring to its place: what `prepare` gives and `insert` takes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    /// Where the image is, below the bucket.
    pub storage_path: String,
    /// The UUID of its row.
    pub image_id: String,
    /// What Storage has as its type; empty where that is not of interest.
    #[serde(default)]
    pub mime_type: String,
    /// A JSON object's text.
    pub row: String,
    /// When it was prepared, before which nobody has brought the image, in ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared_at: Option<i64>,
}

impl Prepared {
    /// What a shipment fixes.
    pub fn new<B>(shipment: Shipment<B>, now_ms: i64) -> Self {
        let Shipment { storage_path, image_id, mime_type, row, .. } = shipment;
        let storage_path = storage_path.as_str().to_owned();
        Self { storage_path, image_id, mime_type, row, prepared_at: Some(now_ms) }
    }

    /// What is to be inserted, if the row, here as it was parsed, is this image's and of this configuration's owner.
    pub fn check(self, config: &Config, row: Option<&Json>) -> Result<Shipment<()>, Error> {
        if !is_uuid(&self.image_id) {
            return Err(Error::field(IMAGE_ID, "is no UUID"));
        }
        let storage_path = StoragePath::parse(&self.storage_path)?;
        let says = |column, value: &str| row.and_then(|row| row.text(column)) == Some(value);
        let is_its = says("id", &self.image_id)
            && says("storage_path", &self.storage_path)
            && config.owner_id().is_some_and(|owner| says("owner_user_id", owner));
        if !is_its {
            return Err(Error::field("row", "is not the one that was prepared for this image and this owner"));
        }
        Ok(Shipment {
            storage_path,
            image_id: self.image_id,
            owner_user_id: config.owner_id().unwrap_or_default().to_owned(),
            image: (),
            mime_type: self.mime_type,
            row: self.row,
            request: String::new(),
        })
    }
}

/// All that two requests need: one image on its way, its path, id and row fixed.
#[derive(Clone, Debug)]
pub struct Shipment<B> {
    /// Where the image goes, below the bucket.
    pub storage_path: StoragePath,
    /// A UUID in lower case.
    pub image_id: String,
    /// Whose it is, as the row says; empty where the Worker will write the row, and nobody has told.
    pub owner_user_id: String,
    /// The platform's handle to its bytes.
    pub image: B,
    /// What Storage keeps as its type.
    pub mime_type: String,
    /// The row as a JSON object's text.
    pub row: String,
    /// The request as the Worker takes it, a JSON object's text.
    pub request: String,
}

/// A request of which path, id, MIME type and ending are fixed: its shipment can be made of it again and again.
#[derive(Clone, Debug)]
pub struct Settled {
    /// As the caller would write it, with the MIME type and ending that were found.
    pub meta: ImageMeta,
    /// Where the image goes.
    pub storage_path: StoragePath,
    /// A UUID in lower case.
    pub image_id: String,
    /// Width and height as the image's header has them; zeros where it tells nothing.
    pub measured: (u32, u32),
}

impl Settled {
    /// What is sent.
    pub fn shipment<B>(self, config: &Config, image: B) -> Shipment<B> {
        let Self { meta, storage_path, image_id, measured } = self;
        let owner_user_id = config.owner_id().unwrap_or_default();
        let row = meta.row(&image_id, owner_user_id, storage_path.as_str(), measured);
        Shipment {
            row: columns::beside(row, meta.columns.as_deref()),
            // With all that is known of the image: the Worker fixes the path just so.
            request: to_text(&meta),
            storage_path,
            image_id,
            owner_user_id: owner_user_id.to_owned(),
            image,
            mime_type: meta.mime_type,
        }
    }
}

impl<B> SyncRequest<B> {
    /// See [`ImageMeta::dated`].
    pub fn dated(self, now_ms: i64) -> Self {
        Self { meta: self.meta.dated(now_ms), ..self }
    }

    /// Fixes path, id and row. `random` fills a new id.
    pub fn ship(self, config: &Config, found: &Found, random: Option<[u8; 16]>) -> Result<Shipment<B>, Error> {
        let shipment = self.meta.settle(config, found, random)?.shipment(config, self.image);
        if !config.target.is_project() {
            check_length("request", &shipment.request, limits::REQUEST)?;
        }
        Ok(shipment)
    }
}

// Not generic over the bytes, so that there is one copy of each in the binary.
impl ImageMeta {
    /// `image_id` is as the database writes it.
    fn path(&self, config: &Config, ext: &str, image_id: &str) -> Result<StoragePath, Error> {
        let date = self.date.as_deref().unwrap_or_default();
        let prefix = config.path_prefix.as_deref();
        if let Some(slug) = &self.slug {
            return StoragePath::build(prefix, date, slug, self.seed, ext);
        }
        let part_of_id = image_id.rsplit(['-']).next().unwrap_or_default();
        let name = format!("{}-{}-{part_of_id}", slugify(&self.prompt), self.seed);
        StoragePath::named(prefix, date, &name, ext)
    }

    /// Refuses what can be refused before the image's bytes are read.
    pub fn check(&self, config: &Config) -> Result<(), Error> {
        if config.owner.is_none() && config.target.is_project() {
            let message = "owner_user_id not set (config or $IMAGEN_OWNER_USER_ID); refusing to insert NULL into \
                           imagen.images";
            return Err(Error::field("ownerUserId", "").with_message(message));
        }
        if config.has_uuid_owners() && config.owner_id().is_some_and(|owner| !is_uuid(owner)) {
            let problem = "is no UUID, and the table imagen.images takes no other. It is the user's auth.users.id";
            return Err(Error::field("ownerUserId", problem));
        }
        if !config.target.is_project() {
            self.check_limits()?;
        }
        columns::check(self.columns.as_deref().unwrap_or_default())?;
        let id = self.image_id.as_deref().and_then(canonical_id).unwrap_or_else(|| Uuid::nil().to_string());
        self.path(config, &self.ext, &id)?;
        if !self.mime_type.is_empty() && !is_mime_type(&self.mime_type) {
            return Err(Error::field("mimeType", "is no MIME type"));
        }
        if self.image_id.as_deref().is_some_and(|id| !is_uuid(id)) {
            return Err(Error::field(IMAGE_ID, "is no UUID"));
        }
        Ok(())
    }

    /// Fixes path, id, MIME type and ending. `random` fills a new id.
    pub fn settle(self, config: &Config, found: &Found, random: Option<[u8; 16]>) -> Result<Settled, Error> {
        if found.size == 0 {
            return Err(Error::image("is empty"));
        }
        let header = found.header;
        let mime_type = self.mime_type(config, found)?;
        let format = header.map(|header| header.format);
        let ext = match (self.ext.as_str(), format) {
            ("", Some(format)) => format.ext(),
            ("", None) => "png",
            (ext, _) => ext,
        };
        let image_id = match &self.image_id {
            Some(id) => canonical_id(id).ok_or_else(|| Error::field(IMAGE_ID, "is no UUID"))?,
            None => {
                let random =
                    random.ok_or_else(|| Error::field(IMAGE_ID, "is needed here: the host has no random numbers"))?;
                uuid::Builder::from_random_bytes(random).into_uuid().to_string()
            }
        };
        let storage_path = self.path(config, ext, &image_id)?;
        let measured = header.and_then(|header| header.size).unwrap_or_default();
        let meta = ImageMeta { image_id: Some(image_id.clone()), ext: ext.to_owned(), mime_type, ..self };
        Ok(Settled { meta, storage_path, image_id, measured })
    }

    fn mime_type(&self, config: &Config, found: &Found) -> Result<String, Error> {
        let Some(Header { format, .. }) = found.header else {
            if config.require_image {
                return Err(Error::image("is no PNG, JPEG, WebP, AVIF or GIF"));
            }
            // What is told of such bytes is for the bucket to judge.
            let own = found.own_type.as_deref().filter(|own| is_mime_type(own)).unwrap_or("image/png");
            let declared = if self.mime_type.is_empty() { own } else { &self.mime_type };
            return Ok(declared.to_owned());
        };
        if self.mime_type.is_empty() {
            return Ok(format.mime_type().to_owned());
        }
        if !format.is_declared_by(&self.mime_type) {
            let problem = format!("is {}, but mimeType says {}", format.mime_type(), name(&self.mime_type));
            return Err(Error::image(&problem));
        }
        // The registered name, whatever way of writing it was declared: the bucket compares letter by letter.
        Ok(format.mime_type().to_owned())
    }
}

fn is_uuid(id: &str) -> bool {
    Uuid::try_parse(id).is_ok()
}

/// `type/subtype` and perhaps parameters, fit for a header.
fn is_mime_type(text: &str) -> bool {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&c));
    let essence = text.split([';']).next().unwrap_or_default().trim_end();
    is_header_safe(text) && essence.split_once(['/']).is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, Target};
    use crate::error::Code;
    use crate::image::header::read_header;

    const PNG: &[u8] = include_bytes!("../../tests/data/lighthouse.png");
    const WEBP: &[u8] = include_bytes!("../../tests/data/lighthouse.webp");
    const OWNER: &str = "7d6f2b8e-1111-4222-8333-444455556666";
    const ID: &str = "00000000-0000-4000-8000-00000000002a";

    fn config_with(options: Options) -> Config {
        let some = |text: &str| Some(text.to_owned());
        let options = Options {
            url: some("https://x.co"),
            api_key: some("k"),
            owner_user_id: options.owner_user_id.or(some(OWNER)),
            ..options
        };
        Config::new(options, false).unwrap()
    }

    fn config() -> Config {
        config_with(Options::default())
    }

    fn request() -> SyncRequest<()> {
        SyncRequest {
            meta: ImageMeta {
                date: Some("2026-05-11".to_owned()),
                slug: Some("lighthouse".to_owned()),
                seed: 42,
                prompt: "abc".to_owned(),
                backend: "b".to_owned(),
                image_id: Some(ID.to_owned()),
                ..ImageMeta::default()
            },
            ..SyncRequest::default()
        }
    }

    fn ship(request: SyncRequest<()>, bytes: &[u8]) -> Result<Shipment<()>, Error> {
        request.ship(&config(), &found(bytes), Some([7; 16]))
    }

    fn found(bytes: &[u8]) -> Found {
        Found { size: bytes.len() as u64, header: read_header(bytes), own_type: None }
    }

    fn field_at_fault<T>(result: Result<T, Error>) -> Option<String> {
        result.err().and_then(|error| error.field.clone())
    }

    const HASH_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_row_holds_what_is_known_and_nothing_else() {
        let bare =
            ship(SyncRequest { meta: ImageMeta { seed: 0, ..request().meta }, ..request() }, b"no image").unwrap();
        let wanted = format!(
            r#"{{"id":"{ID}","owner_user_id":"{OWNER}","prompt":"abc","prompt_hash":"{HASH_OF_ABC}","backend":"b","storage_path":"2026-05-11/lighthouse-0.png"}}"#
        );
        assert_eq!(bare.row, wanted);
        let full = SyncRequest {
            meta: ImageMeta {
                seed: i64::MIN,
                model: "m\"".to_owned(),
                steps: 4,
                width: 9,
                height: 0,
                latency_ms: 5,
                cost_usd_estimate: Some("0".to_owned()),
                sidecar: Some(r#"{"a":[1]}"#.to_owned()),
                ..request().meta
            },
            ..request()
        };
        let wanted = format!(
            r#"{{"id":"{ID}","owner_user_id":"{OWNER}","prompt":"abc","prompt_hash":"{HASH_OF_ABC}","backend":"b","storage_path":"2026-05-11/lighthouse--9223372036854775808.webp","model":"m\"","seed":-9223372036854775808,"steps":4,"width":9,"height":240,"latency_ms":5,"cost_usd_estimate":0,"sidecar":{{"a":[1]}}}}"#
        );
        assert_eq!(ship(full, WEBP).unwrap().row, wanted);
        let empty_sidecar =
            SyncRequest { meta: ImageMeta { sidecar: Some("{}".to_owned()), ..request().meta }, ..request() };
        assert!(!ship(empty_sidecar, PNG).unwrap().row.contains("sidecar"));
    }

    #[test]
    fn columns_of_the_callers_own_stand_behind_ours_and_are_none_of_them() {
        let with = |columns: &str| SyncRequest {
            meta: ImageMeta { columns: Some(columns.to_owned()), ..request().meta },
            ..request()
        };
        let shipment = ship(with(r#"{"project_id":"p","tags":["a"]}"#), PNG).unwrap();
        assert!(shipment.row.ends_with(r#","project_id":"p","tags":["a"]}"#), "{}", shipment.row);
        assert!(shipment.request.ends_with(r#","columns":{"project_id":"p","tags":["a"]}}"#), "{}", shipment.request);
        assert_eq!(
            field_at_fault(with(r#"{"owner_user_id":"x"}"#).check(&config())).as_deref(),
            Some("columns.owner_user_id")
        );
    }

    #[test]
    fn type_and_ending_come_from_the_request_then_the_bytes_then_png() {
        for (ext, mime_type, bytes, wanted) in [
            ("", "", PNG, ("png", "image/png")),
            ("", "", WEBP, ("webp", "image/webp")),
            ("", "", b"unknown", ("png", "image/png")),
            ("jpeg", "", WEBP, ("jpeg", "image/webp")),
            ("", "IMAGE/webp;q=1", WEBP, ("webp", "image/webp")),
            ("", "image/svg+xml", b"<svg/>", ("png", "image/svg+xml")),
        ] {
            let request = SyncRequest {
                meta: ImageMeta { ext: ext.to_owned(), mime_type: mime_type.to_owned(), ..request().meta },
                ..request()
            };
            let shipment = ship(request, bytes).unwrap();
            let path = shipment.storage_path.as_str();
            assert_eq!((path.rsplit('.').next().unwrap(), shipment.mime_type.as_str()), wanted);
        }
    }

    #[test]
    fn unknown_bytes_have_the_type_that_they_came_with() {
        for (own, declared, bytes, wanted) in [
            ("image/heic", "", &b"unknown"[..], "image/heic"),
            ("text/html;charset=utf-8", "", b"<html>", "text/html;charset=utf-8"),
            ("image/heic", "image/x-raw", b"unknown", "image/x-raw"),
            ("image/png", "", WEBP, "image/webp"),
            ("", "", b"unknown", "image/png"),
            ("heic", "", b"unknown", "image/png"),
            ("image/a\r\nb", "", b"unknown", "image/png"),
        ] {
            let request =
                SyncRequest { meta: ImageMeta { mime_type: declared.to_owned(), ..request().meta }, ..request() };
            let found = Found { own_type: Some(own.to_owned()), ..found(bytes) };
            assert_eq!(request.ship(&config(), &found, None).unwrap().mime_type, wanted, "{own:?}");
        }
    }

    #[test]
    fn bytes_of_another_type_than_declared_are_refused() {
        let declared = |mime_type: &str| SyncRequest {
            meta: ImageMeta { mime_type: mime_type.to_owned(), ..request().meta },
            ..request()
        };
        assert_eq!(field_at_fault(ship(declared("image/jpeg"), PNG)).as_deref(), Some("image"));
        assert_eq!(field_at_fault(ship(declared("application/octet-stream"), WEBP)).as_deref(), Some("image"));
        assert!(ship(declared("image/png"), PNG).is_ok());
    }

    #[test]
    fn with_require_image_only_a_known_image_is_taken() {
        let config = config_with(Options { require_image: true, ..Options::default() });
        let ship = |bytes: &[u8]| request().ship(&config, &found(bytes), None);
        assert!(ship(PNG).is_ok());
        assert_eq!(field_at_fault(ship(b"<svg/>")).as_deref(), Some("image"));
    }

    #[test]
    fn a_size_that_is_given_counts_more_than_the_headers() {
        let row = ship(SyncRequest { meta: ImageMeta { width: 1, height: 2, ..request().meta }, ..request() }, PNG)
            .unwrap()
            .row;
        assert!(row.contains(r#""width":1,"height":2"#), "{row}");
        let row = ship(request(), PNG).unwrap().row;
        assert!(row.contains(r#""width":320,"height":240"#), "{row}");
    }

    #[test]
    fn without_a_slug_two_images_never_share_a_path() {
        let of = |id: &str| {
            let (prompt, image_id) = ("Café über Łódź".to_owned(), Some(id.to_owned()));
            SyncRequest { meta: ImageMeta { slug: None, prompt, image_id, ..request().meta }, ..request() }
        };
        let (one, other) = (ship(of(ID), PNG).unwrap(), ship(of(OWNER), PNG).unwrap());
        assert_eq!(one.storage_path.as_str(), "2026-05-11/cafe-uber-lodz-42-00000000002a.png");
        assert_eq!(other.storage_path.as_str(), "2026-05-11/cafe-uber-lodz-42-444455556666.png");
        let again = ship(of(&ID.to_uppercase().replace('-', "")), PNG).unwrap();
        assert_eq!(again.storage_path, one.storage_path, "the same call again goes to the same place");
        assert!(!one.request.contains("slug"), "the Worker makes it, too: {}", one.request);
        let made = ship(SyncRequest { meta: ImageMeta { image_id: None, ..of(ID).meta }, ..of(ID) }, PNG).unwrap();
        assert_eq!(made.storage_path.as_str(), "2026-05-11/cafe-uber-lodz-42-070707070707.png");
    }

    #[test]
    fn without_a_date_it_is_today_in_utc() {
        let dated = |ms: i64| ImageMeta { date: None, ..request().meta }.dated(ms).date.unwrap();
        for (ms, day) in [
            (0, "1970-01-01"),
            (951_782_399_999, "2000-02-28"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_796_083_199_999, "2026-11-30"),
            (1_796_083_200_000, "2026-12-01"),
            (4_107_542_400_000, "2100-03-01"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(dated(ms), day);
        }
        assert_eq!(request().meta.dated(0).date.as_deref(), Some("2026-05-11"), "a given one stays");
    }

    #[test]
    fn an_id_is_taken_in_any_form_or_made() {
        for id in [ID.to_uppercase(), ID.replace('-', ""), format!("urn:uuid:{ID}")] {
            assert_eq!(
                ship(SyncRequest { meta: ImageMeta { image_id: Some(id), ..request().meta }, ..request() }, PNG)
                    .unwrap()
                    .image_id,
                ID
            );
        }
        let without = || SyncRequest { meta: ImageMeta { image_id: None, ..request().meta }, ..request() };
        let made = ship(without(), PNG).unwrap().image_id;
        assert_eq!(made, "07070707-0707-4707-8707-070707070707", "a version 4 UUID");
        let fault = field_at_fault(without().ship(&config(), &found(PNG), None));
        assert_eq!(fault.as_deref(), Some("imageId"), "no UUID can be made without random numbers");
    }

    #[test]
    fn a_field_at_fault_is_named() {
        let text = str::to_owned;
        for (field, bad) in [
            ("date", SyncRequest { meta: ImageMeta { date: Some(String::new()), ..request().meta }, ..request() }),
            ("slug", SyncRequest { meta: ImageMeta { slug: Some(String::new()), ..request().meta }, ..request() }),
            ("slug", SyncRequest { meta: ImageMeta { slug: Some(text("../x")), ..request().meta }, ..request() }),
            ("ext", SyncRequest { meta: ImageMeta { ext: text("a/b"), ..request().meta }, ..request() }),
            ("imageId", SyncRequest { meta: ImageMeta { image_id: Some(text("x")), ..request().meta }, ..request() }),
            ("mimeType", SyncRequest { meta: ImageMeta { mime_type: text("png"), ..request().meta }, ..request() }),
        ] {
            assert_eq!(field_at_fault(bad.check(&config())).as_deref(), Some(field), "{bad:?}");
        }
        let ownerless = config_with(Options { owner_user_id: Some(String::new()), ..Options::default() });
        assert_eq!(field_at_fault(request().check(&ownerless)).as_deref(), Some("ownerUserId"));
        assert_eq!(field_at_fault(ship(request(), b"")).as_deref(), Some("image"), "an empty image");
    }

    #[test]
    fn an_owner_that_the_table_does_not_take_is_refused_before_anything_is_sent() {
        let owned_by = |owner: &str, table: Option<&str>| {
            let (owner_user_id, table) = (Some(owner.to_owned()), table.map(str::to_owned));
            request().check(&config_with(Options { owner_user_id, table, ..Options::default() }))
        };
        let error = owned_by("somebody", None).unwrap_err();
        assert_eq!((error.code, error.field.as_deref()), (Code::InvalidRequest, Some("ownerUserId")));
        assert!(error.message.contains("auth.users.id"), "{error:?}");
        assert!(owned_by("somebody", Some("pictures")).is_ok(), "a table of one's own may have other owners");
    }

    #[test]
    fn ids_have_one_spelling() {
        for id in [OWNER.to_uppercase(), OWNER.replace('-', ""), format!("{{{OWNER}}}"), format!("urn:uuid:{OWNER}")] {
            let config = config_with(Options { owner_user_id: Some(id.clone()), ..Options::default() });
            assert_eq!(config.owner_id(), Some(OWNER), "{id}");
            let shipment = SyncRequest { meta: ImageMeta { image_id: Some(id), ..request().meta }, ..request() }
                .ship(&config, &found(PNG), None)
                .unwrap();
            assert_eq!((shipment.image_id.as_str(), shipment.owner_user_id.as_str()), (OWNER, OWNER));
            assert!(shipment.row.contains(&format!(r#""owner_user_id":"{OWNER}""#)), "{}", shipment.row);
        }
    }

    #[test]
    fn what_the_worker_has_no_room_for_is_refused_before_it_is_sent() {
        let relay = config_with(Options { target: Target::Worker, ..Options::default() });
        let of = |bytes: usize| "x".repeat(bytes);
        let cases = [
            (
                "ext",
                limits::EXT,
                (|text| SyncRequest { meta: ImageMeta { ext: text, ..request().meta }, ..request() })
                    as fn(String) -> SyncRequest<()>,
            ),
            ("model", limits::MODEL, |text| SyncRequest {
                meta: ImageMeta { model: text, ..request().meta },
                ..request()
            }),
            ("backend", limits::BACKEND, |text| SyncRequest {
                meta: ImageMeta { backend: text, ..request().meta },
                ..request()
            }),
            ("prompt", limits::PROMPT, |text| SyncRequest {
                meta: ImageMeta { prompt: text, ..request().meta },
                ..request()
            }),
            ("sidecar", limits::SIDECAR, |text| SyncRequest {
                meta: ImageMeta { sidecar: Some(text), ..request().meta },
                ..request()
            }),
        ];
        for (field, most, with) in cases {
            assert!(with(of(most)).check_limits().is_ok(), "{field}");
            assert_eq!(field_at_fault(with(of(most + 1)).check(&relay)).as_deref(), Some(field));
            let long = with(of(most + 1)).check(&config()).err().and_then(|error| error.field.clone());
            assert!(long.is_none() || field == "ext", "without the Worker {field} is as free as the seed's: {long:?}");
        }
        let mime_type = format!("image/{}", of(limits::MIME_TYPE));
        let typed = SyncRequest { meta: ImageMeta { mime_type, ..request().meta }, ..request() };
        assert_eq!(field_at_fault(typed.check(&relay)).as_deref(), Some("mimeType"));
        let escaped =
            SyncRequest { meta: ImageMeta { prompt: "\u{1}".repeat(limits::PROMPT), ..request().meta }, ..request() };
        let shipped = escaped.ship(&relay, &found(PNG), Some([7; 16]));
        assert_eq!(field_at_fault(shipped).as_deref(), Some("request"), "as JSON it is six times as long");
    }

    #[test]
    fn a_mime_type_is_one_that_fits_a_header() {
        for good in ["image/png", "image/svg+xml", "image/png; charset=utf-8", "application/vnd.x-y.z"] {
            assert!(is_mime_type(good), "{good}");
        }
        for bad in ["", "png", "/png", "image/", "image/png ", "im age/png", "image/png\r\nx: 1", "image/ä", "a/b/c"] {
            assert!(!is_mime_type(bad), "{bad}");
        }
    }
}
