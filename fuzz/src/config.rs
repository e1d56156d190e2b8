//! Options of callers.

use imagen_cloud::config::{Config, Options};
use imagen_cloud::image::path::StoragePath;
use imagen_cloud::wire::link::Link;
use imagen_cloud::wire::rows;
use imagen_cloud::wire::{object, sign};

/// A configuration that is accepted makes requests that every host can send, to the project's URL and nowhere else.
pub fn holds(input: &[u8]) {
    let [url, api_key, bucket, schema, table, path_prefix, cache_control] = super::fields(input);
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let options = Options {
        url: some(&url),
        api_key: some(&api_key),
        bucket: some(&bucket),
        schema: some(&schema),
        table: some(&table),
        path_prefix: some(&path_prefix),
        cache_control: some(&cache_control),
        ..Options::default()
    };
    let given = |name: &str| match name {
        "SUPABASE_URL" => some(&url),
        "SUPABASE_SERVICE_KEY" => some(&api_key),
        _ => None,
    };
    if let Ok(options) = Config::options_from_env(&given, &|_| None) {
        let _ = Config::new(options, true);
    }
    let Ok(config) = Config::new(options.clone(), false) else { return };
    let (scheme, rest) = config.url.split_once("://").unwrap();
    assert!(["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()), "{url:?}");
    assert!(!rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']) && !rest.contains(['@', '?', '#']), "{url:?}");
    assert!(api_key.bytes().all(|byte| (b' '..0x7f).contains(&byte)));

    // Whatever is in a folder's name can be asked for, also what Storage takes in no new name.
    let folder = config.path_prefix.as_ref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
    let path = StoragePath::parse(&format!("{folder}d/s-1.png")).unwrap();
    let shipment = super::shipment(path.as_str());
    super::check_request(&object::upload(&config, &shipment), &config, "/storage/v1/object/");
    super::check_request(
        &sign::sign::<()>(&config, &path, &Link::for_seconds(60)),
        &config,
        "/storage/v1/object/sign/",
    );
    super::check_request(&rows::insert::<()>(&config, "{}"), &config, "/rest/v1/");
    super::check_request(&rows::read_back::<()>(&config, super::ID), &config, "/rest/v1/");
}
