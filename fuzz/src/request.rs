//! Requests to sync an image.

use imagen_cloud::config::{Config, Options};
use imagen_cloud::error::Code;
use imagen_cloud::image::header::read_header;
use imagen_cloud::image::meta::{Found, SyncRequest};
use imagen_cloud::image::row::ImageMeta;
use imagen_cloud::wire::http::Payload;
use imagen_cloud::wire::object;
use imagen_cloud::wire::tus::Upload;
use imagen_cloud::wire::worker::Beside;
use serde_json::{Value, json};

/// A request that is accepted becomes a row that is JSON with just what was given, and uploads that can be sent.
pub fn holds(input: &[u8]) {
    let [prefix, date, slug, ext, mime_type, prompt, backend, image_id, numbers, image] = super::fields(input);
    // The image's bytes, not made UTF-8.
    let image_bytes = input.splitn(10, |byte| *byte == super::FIELD).nth(9).unwrap_or_default();
    let mut numbers = numbers.split(',').map(|number| number.parse::<i64>().unwrap_or_default());
    let mut number = || numbers.next().unwrap_or_default();
    let options = Options {
        url: Some(super::URL.to_owned()),
        api_key: Some("key".to_owned()),
        owner_user_id: Some(super::OWNER.to_owned()),
        path_prefix: Some(prefix.clone()),
        require_image: image.len() % 2 == 0,
        ..Options::default()
    };
    let Ok(config) = Config::new(options, false) else { return };
    let request = SyncRequest {
        meta: ImageMeta {
            date: Some(date),
            slug: Some(slug).filter(|slug| slug != "?"),
            seed: number(),
            ext,
            mime_type,
            prompt,
            backend,
            steps: number().unsigned_abs() as u32 >> 1,
            width: number().unsigned_abs() as u32 >> 1,
            height: number().unsigned_abs() as u32 >> 1,
            image_id: Some(image_id.clone()).filter(|id| !id.is_empty()),
            ..ImageMeta::default()
        },
        image: (),
    };
    let checked = request.check(&config);
    let found = Found { size: image_bytes.len() as u64, header: read_header(image_bytes), own_type: None };
    let shipped = request.clone().ship(&config, &found, Some([7; 16]));
    let shipment = match shipped {
        Ok(shipment) => shipment,
        Err(error) => {
            // What can be refused before the image is read, is; but its ending may make a name too long.
            assert!(checked.is_err() || error.code == Code::InvalidImage || request.ext.is_empty(), "{error:?}");
            return;
        }
    };
    if checked.is_err() {
        return;
    }
    super::path::check(&shipment.storage_path, &prefix);
    let row: Value = serde_json::from_str(&shipment.row).unwrap();
    assert_eq!(row["id"], json!(shipment.image_id));
    assert!(image_id.is_empty() || uuid::Uuid::try_parse(&image_id).unwrap().to_string() == shipment.image_id);
    assert_eq!(row["prompt"], json!(request.prompt));
    assert_eq!(row["backend"], json!(request.backend));
    assert_eq!(row["storage_path"], json!(shipment.storage_path.as_str()));
    assert_eq!(row["owner_user_id"], json!(super::OWNER));
    assert_eq!(row.get("seed").and_then(Value::as_i64).unwrap_or_default(), request.seed);
    assert_eq!(row.get("steps").and_then(Value::as_u64).unwrap_or_default(), u64::from(request.steps));
    for (column, given) in [("width", request.width), ("height", request.height)] {
        let value = row.get(column).and_then(Value::as_i64).unwrap_or_default();
        assert!((0..=i64::from(i32::MAX)).contains(&value) && (given == 0 || value == i64::from(given)), "{column}");
    }

    let upload = object::upload(&config, &shipment);
    assert!(matches!(upload.payload, Payload::Image(())));
    super::check_request(&upload, &config, "/storage/v1/object/imagen-generated/");
    let resumable = Upload::new(image_bytes.len() as u64, 4, None, false);
    let resumable = resumable.next(&config, None, &shipment, Beside::default(), |_| ());
    super::check_request(&resumable, &config, "/storage/v1/upload/resumable");
}
