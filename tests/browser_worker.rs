//! The library in a page's dedicated worker.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/page.rs"]
mod page;

use imagen_cloud::host::web::in_browser;
use page::{eval, in_page};
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[wasm_bindgen_test]
async fn a_secret_key_is_refused_in_a_worker_too() {
    assert_eq!(eval("typeof document + typeof WorkerGlobalScope"), "undefinedfunction");
    assert!(in_browser());
    in_page(page::KEY_GUARD).await;
}

#[wasm_bindgen_test]
async fn an_image_arrives_from_a_worker() {
    in_page(
        "const { storagePath, imageId } = await sink.sync({ ...request, image: new Blob([PNG]) });
         same(`${storagePath} ${imageId}`, `2026-05-11/lighthouse-42.png ${request.imageId}`, 'the result');
         same(sent.map(({ init }) => init.method).join(), 'PUT,POST', 'requests');
         const url = await sink.signedUrl(storagePath);
         same(url.startsWith('https://x.invalid/storage/v1/object/sign/'), true, url);",
    )
    .await;
}
