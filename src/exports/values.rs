//! The values of the WIT become the library's own, and back.

use super::bindings::exports::imagen::cloud::sinks;
use super::members::{Members, read_object};
use crate::config::Options;
use crate::error::{Code, Error, Stage};
use crate::host::wasi::WasiBytes;
use crate::image::meta::SyncRequest;
use crate::image::path::StoragePath;
use crate::image::row::ImageMeta;
use crate::sync::call::Synced;
use crate::wire::remove::ImageRef;

/// How many images, or paths, one call takes.
const MAX_MEMBERS: usize = 100_000;

pub(super) fn read_options(given: sinks::Options) -> Result<Options, Error> {
    let as_user = given.access_token.is_some();
    let options: Options = Members::default()
        .with("url", given.url)
        .with_some("publicUrl", given.public_url)
        .with("apiKey", given.api_key)
        .with_some("ownerUserId", given.owner_user_id)
        .with_some("bucket", given.bucket)
        .with_some("schema", given.schema)
        .with_some("table", given.table)
        .with_some("pathPrefix", given.path_prefix)
        .with_some("maxRetries", given.max_retries)
        .with_some("initialBackoffMs", given.initial_backoff_ms)
        .with_some("maxBackoffMs", given.max_backoff_ms)
        .with_some("timeoutMs", given.timeout_ms)
        .with_some("resumableFrom", given.resumable_from)
        .with_some("chunkSize", given.chunk_size)
        .with_some("cacheControl", given.cache_control)
        .with_some("requireImage", given.require_image)
        .read(Error::option)?;
    Ok(Options { as_user, ..options })
}

pub(super) fn read_request(given: Result<sinks::Request, Error>) -> Result<SyncRequest<WasiBytes>, Error> {
    let given = given?;
    let object = |field: &str, text: Option<String>| {
        text.map(|text| read_object(field, &text).map(|(_, text)| text)).transpose()
    };
    let mut meta: ImageMeta = Members::default()
        .with_some("imageId", given.image_id)
        .with_some("date", given.date)
        .with_some("slug", given.slug)
        .with("seed", given.seed)
        .with_some("ext", given.ext)
        .with_some("mimeType", given.mime_type)
        .with("prompt", given.prompt)
        .with("backend", given.backend)
        .with_some("model", given.model)
        .with_some("steps", given.steps)
        .with_some("width", given.width)
        .with_some("height", given.height)
        .with_some("latencyMs", given.latency_ms)
        .with_some("costUsdEstimate", given.cost_usd_estimate)
        .with_some("sidecar", object("sidecar", given.sidecar)?)
        .with_some("columns", object("columns", given.columns)?)
        .read(Error::field)?;
    // A dot before an ending is what people write.
    if meta.ext.starts_with('.') {
        meta.ext.remove(0);
    }
    Ok(SyncRequest { meta, image: given.image.into() })
}

/// Of a list that is too long each member is refused.
pub(super) fn checked_list<T>(given: Vec<T>) -> impl Iterator<Item = Result<T, Error>> {
    let is_too_long = given.len() > MAX_MEMBERS;
    given.into_iter().map(move |member| match is_too_long {
        true => Err(Error::field("", &format!("the list is longer than {MAX_MEMBERS}"))),
        false => Ok(member),
    })
}

pub(super) fn read_path(given: Result<String, Error>) -> Result<StoragePath, Error> {
    StoragePath::parse(&given?)
}

pub(super) fn synced(synced: Synced) -> sinks::Synced {
    let Synced { storage_path, image_id, signed_url, .. } = synced;
    sinks::Synced { storage_path, image_id, signed_url: signed_url.flatten() }
}

pub(super) fn read_image(given: sinks::ImageRef) -> ImageRef {
    ImageRef { image_id: given.image_id, storage_path: given.storage_path }
}

pub(super) fn removed(image: ImageRef) -> sinks::ImageRef {
    sinks::ImageRef { image_id: image.image_id, storage_path: image.storage_path }
}

pub(super) fn error(error: Error) -> sinks::Error {
    sinks::Error {
        message: error.message.clone(),
        stage: stage(error.stage),
        code: code(error.code),
        field: error.field.clone(),
        status: error.status,
        server_code: error.server_code.clone(),
        retryable: error.retryable,
        retry_after_ms: error.retry_after_ms,
        attempts: error.attempts,
        storage_path: error.storage_path.clone(),
        image_id: error.image_id.clone(),
    }
}

fn stage(stage: Stage) -> sinks::Stage {
    match stage {
        Stage::Config => sinks::Stage::Config,
        Stage::Upload => sinks::Stage::Upload,
        Stage::Insert => sinks::Stage::Insert,
        Stage::Sign => sinks::Stage::Sign,
        Stage::List => sinks::Stage::List,
        Stage::Remove => sinks::Stage::Remove,
        // There is no outbox.
        Stage::Request | Stage::Outbox => sinks::Stage::Request,
    }
}

fn code(code: Code) -> sinks::Code {
    match code {
        Code::InvalidConfig => sinks::Code::InvalidConfig,
        Code::InvalidRequest => sinks::Code::InvalidRequest,
        Code::InvalidImage => sinks::Code::InvalidImage,
        Code::Network => sinks::Code::Network,
        Code::Timeout => sinks::Code::Timeout,
        Code::DeadlineExceeded => sinks::Code::DeadlineExceeded,
        Code::BadResponse => sinks::Code::BadResponse,
        Code::Unauthorized => sinks::Code::Unauthorized,
        Code::Forbidden => sinks::Code::Forbidden,
        Code::BucketMissing => sinks::Code::BucketMissing,
        Code::SchemaNotExposed => sinks::Code::SchemaNotExposed,
        Code::TableMissing => sinks::Code::TableMissing,
        Code::ObjectMissing => sinks::Code::ObjectMissing,
        Code::TooLarge => sinks::Code::TooLarge,
        Code::TypeNotAllowed => sinks::Code::TypeNotAllowed,
        Code::IdTaken => sinks::Code::IdTaken,
        Code::RateLimited => sinks::Code::RateLimited,
        Code::Unavailable => sinks::Code::Unavailable,
        Code::PathTaken => sinks::Code::PathTaken,
        // No page, no signal, no callback for a token, no outbox: none of the others can come from here.
        Code::Rejected
        | Code::SecretKeyInBrowser
        | Code::Aborted
        | Code::TokenUnavailable
        | Code::WrongUser
        | Code::OutboxFull
        | Code::QuotaExceeded
        | Code::StorageUnavailable
        | Code::OutboxTooNew
        | Code::JobUnreadable
        | Code::JobMissing
        | Code::InvalidState => sinks::Code::Rejected,
    }
}
