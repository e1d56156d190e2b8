//! A request to sync one image becomes a checked [`Shipment`].

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::image::header::{Format, Header};
use crate::image::path::StoragePath;
use crate::json::{Json, ObjectText};
use crate::limits;
use crate::text::{canonical_id, is_header_safe, name};

const IMAGE_ID: &str = "imageId";

/// A request as it comes, types and ranges checked. Empty texts and zeros count as left out, as in the seed.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct SyncRequest<B> {
    pub date: String,
    pub slug: String,
    pub seed: i64,
    pub image: B,
    pub ext: String,
    pub mime_type: String,
    pub prompt: String,
    pub backend: String,
    pub model: String,
    pub steps: u32,
    pub width: u32,
    pub height: u32,
    pub latency_ms: u32,
    /// A JSON number's text: the host writes it, so that it stands in the row as the host would write it.
    pub cost_usd_estimate: Option<String>,
    /// A JSON object's text.
    pub sidecar: Option<String>,
    pub image_id: Option<String>,
}

/// What is found out about an image before it is sent.
#[derive(Clone, Debug)]
pub struct Found {
    /// Bytes.
    pub size: f64,
    /// What its bytes tell; `None` for bytes of no known format.
    pub header: Option<Header>,
    /// The MIME type that it has by itself, as a `Blob` has. Of interest only where its bytes tell nothing.
    pub own_type: Option<String>,
}

impl Found {
    /// What is known of an image that is still to come: only the type that its sender says it will have.
    pub fn promised(mime_type: &str) -> Self {
        let header = Format::declared_by(mime_type).map(|format| Header { format, size: None });
        Self { size: 1.0, header, own_type: None }
    }
}

/// What was fixed for an image that others bring to its place: what `prepare` gives and `insert` takes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Prepared {
    pub storage_path: String,
    pub image_id: String,
    pub mime_type: String,
    /// A JSON object's text.
    pub row: String,
}

impl<B> From<Shipment<B>> for Prepared {
    fn from(shipment: Shipment<B>) -> Self {
        let Shipment { storage_path, image_id, mime_type, row, .. } = shipment;
        Self { storage_path: storage_path.as_str().to_owned(), image_id, mime_type, row }
    }
}

impl Prepared {
    /// What is to be inserted, if the row, here as it was parsed, is this image's and of this configuration's owner.
    pub fn check(self, config: &Config, row: Option<&Json>) -> Result<Shipment<()>, Error> {
        if !is_uuid(&self.image_id) {
            return Err(Error::field(IMAGE_ID, "is no UUID"));
        }
        let storage_path = StoragePath::parse(&self.storage_path)?;
        let says = |column, value: &str| row.and_then(|row| row.text(column)) == Some(value);
        let is_its = says("id", &self.image_id)
            && says("storage_path", &self.storage_path)
            && says("owner_user_id", &config.owner_user_id);
        if !is_its {
            return Err(Error::field("row", "is not the one that was prepared for this image and this owner"));
        }
        Ok(Shipment {
            storage_path,
            image_id: self.image_id,
            owner_user_id: config.owner_user_id.clone(),
            image: (),
            mime_type: self.mime_type,
            row: self.row,
            request: String::new(),
        })
    }
}

/// All that two requests need: one image on its way, its path, id and row fixed.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Shipment<B> {
    pub storage_path: StoragePath,
    /// A UUID in lower case.
    pub image_id: String,
    pub owner_user_id: String,
    pub image: B,
    pub mime_type: String,
    /// The row as a JSON object's text.
    pub row: String,
    /// The request as the Worker takes it, a JSON object's text.
    pub request: String,
}

impl<B> SyncRequest<B> {
    /// Refuses what can be refused before the image's bytes are read.
    pub fn check(&self, config: &Config) -> Result<(), Error> {
        if config.owner_user_id.is_empty() && !config.relay {
            let message = "owner_user_id not set (config or $IMAGEN_OWNER_USER_ID); refusing to insert NULL into \
                           imagen.images";
            return Err(Error::field("ownerUserId", "").with_message(message));
        }
        if config.has_uuid_owners() && !config.owner_user_id.is_empty() && !is_uuid(&config.owner_user_id) {
            let problem = "is no UUID, and the table imagen.images takes no other. It is the user's auth.users.id";
            return Err(Error::field("ownerUserId", problem));
        }
        if config.relay {
            self.check_limits()?;
        }
        StoragePath::build(&config.path_prefix, &self.date, &self.slug, self.seed, &self.ext)?;
        if !self.mime_type.is_empty() && !is_mime_type(&self.mime_type) {
            return Err(Error::field("mimeType", "is no MIME type"));
        }
        if self.image_id.as_deref().is_some_and(|id| !is_uuid(id)) {
            return Err(Error::field(IMAGE_ID, "is no UUID"));
        }
        Ok(())
    }

    /// Refuses what is too long for the Worker or an outbox, see [`limits`].
    pub fn check_limits(&self) -> Result<(), Error> {
        for (field, text, most) in [
            ("ext", self.ext.as_str(), limits::EXT),
            ("mimeType", &self.mime_type, limits::MIME_TYPE),
            ("model", &self.model, limits::MODEL),
            ("backend", &self.backend, limits::BACKEND),
            ("prompt", &self.prompt, limits::PROMPT),
            ("sidecar", self.sidecar.as_deref().unwrap_or_default(), limits::SIDECAR),
        ] {
            check_length(field, text, most)?;
        }
        Ok(())
    }

    /// Fixes path, id and row. `random` fills a new id.
    pub fn ship(self, config: &Config, found: &Found, random: Option<[u8; 16]>) -> Result<Shipment<B>, Error> {
        if found.size <= 0.0 {
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
        let storage_path = StoragePath::build(&config.path_prefix, &self.date, &self.slug, self.seed, ext)?;
        let image_id = match &self.image_id {
            Some(id) => canonical_id(id).ok_or_else(|| Error::field(IMAGE_ID, "is no UUID"))?,
            None => {
                let random =
                    random.ok_or_else(|| Error::field(IMAGE_ID, "is needed here: the host has no random numbers"))?;
                uuid::Builder::from_random_bytes(random).into_uuid().to_string()
            }
        };
        let measured = header.and_then(|header| header.size).unwrap_or_default();
        let row = self.row(config, &storage_path, &image_id, measured);
        let request = self.relayed(ext, &mime_type, &image_id);
        if config.relay {
            check_length("request", &request, limits::REQUEST)?;
        }
        Ok(Shipment {
            storage_path,
            image_id,
            owner_user_id: config.owner_user_id.clone(),
            image: self.image,
            mime_type,
            row,
            request,
        })
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

    /// What the Worker is told: what is known of the image, as the caller would write it. It fixes the path just so.
    fn relayed(&self, ext: &str, mime_type: &str, image_id: &str) -> String {
        let mut request = ObjectText::default();
        for (name, text) in [
            (IMAGE_ID, image_id),
            ("date", &self.date),
            ("slug", &self.slug),
            // JSON has no int64.
            ("seed", &self.seed.to_string()),
            ("ext", ext),
            ("mimeType", mime_type),
            ("prompt", &self.prompt),
            ("backend", &self.backend),
            ("model", &self.model),
        ] {
            request.text(name, text);
        }
        for (name, count) in
            [("steps", self.steps), ("width", self.width), ("height", self.height), ("latencyMs", self.latency_ms)]
        {
            request.raw(name, &count.to_string());
        }
        for (name, json) in [("costUsdEstimate", &self.cost_usd_estimate), ("sidecar", &self.sidecar)] {
            if let Some(json) = json {
                request.raw(name, json);
            }
        }
        request.finish()
    }

    fn row(&self, config: &Config, storage_path: &StoragePath, image_id: &str, measured: (u32, u32)) -> String {
        let mut row = ObjectText::default();
        row.text("id", image_id);
        row.text("owner_user_id", &config.owner_user_id);
        row.text("prompt", &self.prompt);
        row.text("prompt_hash", &prompt_hash(&self.prompt));
        row.text("backend", &self.backend);
        row.text("storage_path", storage_path.as_str());
        if !self.model.is_empty() {
            row.text("model", &self.model);
        }
        let or_measured = |given: u32, measured: u32| if given == 0 { measured } else { given };
        for (column, value) in [
            ("seed", self.seed),
            ("steps", self.steps.into()),
            ("width", or_measured(self.width, measured.0).into()),
            ("height", or_measured(self.height, measured.1).into()),
            ("latency_ms", self.latency_ms.into()),
        ] {
            if value != 0 {
                row.raw(column, &value.to_string());
            }
        }
        if let Some(cost) = &self.cost_usd_estimate {
            row.raw("cost_usd_estimate", cost);
        }
        if let Some(sidecar) = self.sidecar.as_deref().filter(|sidecar| *sidecar != "{}") {
            row.raw("sidecar", sidecar);
        }
        row.finish()
    }
}

/// Refuses a text that is too long for the Worker or an outbox.
pub fn check_length(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.len() <= most {
        return Ok(());
    }
    let problem =
        format!("has {} bytes of UTF-8; {most} is the limit of the Worker and of an outbox. Shorten it", text.len());
    Err(Error::field(field, &problem))
}

fn is_uuid(id: &str) -> bool {
    Uuid::try_parse(id).is_ok()
}

/// SHA-256 of the prompt in hexadecimal.
fn prompt_hash(prompt: &str) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(prompt.as_bytes()) {
        for digit in [byte >> 4, byte & 15] {
            hash.push(char::from_digit(digit.into(), 16).unwrap_or_default());
        }
    }
    hash
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
    use crate::config::Options;
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
            date: "2026-05-11".to_owned(),
            slug: "lighthouse".to_owned(),
            seed: 42,
            prompt: "abc".to_owned(),
            backend: "b".to_owned(),
            image_id: Some(ID.to_owned()),
            ..SyncRequest::default()
        }
    }

    fn ship(request: SyncRequest<()>, bytes: &[u8]) -> Result<Shipment<()>, Error> {
        request.ship(&config(), &found(bytes), Some([7; 16]))
    }

    fn found(bytes: &[u8]) -> Found {
        Found { size: bytes.len() as f64, header: read_header(bytes), own_type: None }
    }

    fn field_at_fault<T>(result: Result<T, Error>) -> Option<String> {
        result.err().and_then(|error| error.field.clone())
    }

    const HASH_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_row_holds_what_is_known_and_nothing_else() {
        let bare = ship(SyncRequest { seed: 0, ..request() }, b"no image").unwrap();
        let wanted = format!(
            r#"{{"id":"{ID}","owner_user_id":"{OWNER}","prompt":"abc","prompt_hash":"{HASH_OF_ABC}","backend":"b","storage_path":"2026-05-11/lighthouse-0.png"}}"#
        );
        assert_eq!(bare.row, wanted);
        let full = SyncRequest {
            seed: i64::MIN,
            model: "m\"".to_owned(),
            steps: 4,
            width: 9,
            height: 0,
            latency_ms: 5,
            cost_usd_estimate: Some("0".to_owned()),
            sidecar: Some(r#"{"a":[1]}"#.to_owned()),
            ..request()
        };
        let wanted = format!(
            r#"{{"id":"{ID}","owner_user_id":"{OWNER}","prompt":"abc","prompt_hash":"{HASH_OF_ABC}","backend":"b","storage_path":"2026-05-11/lighthouse--9223372036854775808.webp","model":"m\"","seed":-9223372036854775808,"steps":4,"width":9,"height":240,"latency_ms":5,"cost_usd_estimate":0,"sidecar":{{"a":[1]}}}}"#
        );
        assert_eq!(ship(full, WEBP).unwrap().row, wanted);
        let empty_sidecar = SyncRequest { sidecar: Some("{}".to_owned()), ..request() };
        assert!(!ship(empty_sidecar, PNG).unwrap().row.contains("sidecar"));
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
            let request = SyncRequest { ext: ext.to_owned(), mime_type: mime_type.to_owned(), ..request() };
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
            let request = SyncRequest { mime_type: declared.to_owned(), ..request() };
            let found = Found { own_type: Some(own.to_owned()), ..found(bytes) };
            assert_eq!(request.ship(&config(), &found, None).unwrap().mime_type, wanted, "{own:?}");
        }
    }

    #[test]
    fn bytes_of_another_type_than_declared_are_refused() {
        let declared = |mime_type: &str| SyncRequest { mime_type: mime_type.to_owned(), ..request() };
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
        let row = ship(SyncRequest { width: 1, height: 2, ..request() }, PNG).unwrap().row;
        assert!(row.contains(r#""width":1,"height":2"#), "{row}");
        let row = ship(request(), PNG).unwrap().row;
        assert!(row.contains(r#""width":320,"height":240"#), "{row}");
    }

    #[test]
    fn an_id_is_taken_in_any_form_or_made() {
        for id in [ID.to_uppercase(), ID.replace('-', ""), format!("urn:uuid:{ID}")] {
            assert_eq!(ship(SyncRequest { image_id: Some(id), ..request() }, PNG).unwrap().image_id, ID);
        }
        let without = || SyncRequest { image_id: None, ..request() };
        let made = ship(without(), PNG).unwrap().image_id;
        assert_eq!(made, "07070707-0707-4707-8707-070707070707", "a version 4 UUID");
        let fault = field_at_fault(without().ship(&config(), &found(PNG), None));
        assert_eq!(fault.as_deref(), Some("imageId"), "no UUID can be made without random numbers");
    }

    #[test]
    fn a_field_at_fault_is_named() {
        let text = str::to_owned;
        for (field, bad) in [
            ("date", SyncRequest { date: String::new(), ..request() }),
            ("slug", SyncRequest { slug: String::new(), ..request() }),
            ("slug", SyncRequest { slug: text("../x"), ..request() }),
            ("ext", SyncRequest { ext: text("a/b"), ..request() }),
            ("imageId", SyncRequest { image_id: Some(text("x")), ..request() }),
            ("mimeType", SyncRequest { mime_type: text("png"), ..request() }),
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
            assert_eq!(config.owner_user_id, OWNER, "{id}");
            let shipment = SyncRequest { image_id: Some(id), ..request() }.ship(&config, &found(PNG), None).unwrap();
            assert_eq!((shipment.image_id.as_str(), shipment.owner_user_id.as_str()), (OWNER, OWNER));
            assert!(shipment.row.contains(&format!(r#""owner_user_id":"{OWNER}""#)), "{}", shipment.row);
        }
    }

    #[test]
    fn what_the_worker_has_no_room_for_is_refused_before_it_is_sent() {
        let relay = config_with(Options { relay: true, ..Options::default() });
        let of = |bytes: usize| "x".repeat(bytes);
        let cases = [
            ("ext", limits::EXT, (|text| SyncRequest { ext: text, ..request() }) as fn(String) -> SyncRequest<()>),
            ("model", limits::MODEL, |text| SyncRequest { model: text, ..request() }),
            ("backend", limits::BACKEND, |text| SyncRequest { backend: text, ..request() }),
            ("prompt", limits::PROMPT, |text| SyncRequest { prompt: text, ..request() }),
            ("sidecar", limits::SIDECAR, |text| SyncRequest { sidecar: Some(text), ..request() }),
        ];
        for (field, most, with) in cases {
            assert!(with(of(most)).check_limits().is_ok(), "{field}");
            assert_eq!(field_at_fault(with(of(most + 1)).check(&relay)).as_deref(), Some(field));
            let long = with(of(most + 1)).check(&config()).err().and_then(|error| error.field.clone());
            assert!(long.is_none() || field == "ext", "without the Worker {field} is as free as the seed's: {long:?}");
        }
        let mime_type = format!("image/{}", of(limits::MIME_TYPE));
        let typed = SyncRequest { mime_type, ..request() };
        assert_eq!(field_at_fault(typed.check(&relay)).as_deref(), Some("mimeType"));
        let escaped = SyncRequest { prompt: "\u{1}".repeat(limits::PROMPT), ..request() };
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
