//! What only a browser can show: the real host, and the library's JavaScript side in a page.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/page.rs"]
mod page;

use std::rc::Rc;

use imagen_cloud::host::web::{Host, HostBytes, in_browser};
use imagen_cloud::host::{OnSent, Patience, Platform};
use imagen_cloud::json::Json;
use imagen_cloud::race::first_of;
use imagen_cloud::wire::http::{Failure, Method, Request, Response};
use js_sys::{Function, Uint8Array};
use page::{eval, in_page};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

fn function(code: &str) -> Option<Function> {
    Some(eval(code).unchecked_into())
}

fn within(idle_ms: u32) -> Patience {
    Patience { idle_ms, line_ms: 0 }
}

fn get(url: &str) -> Request<HostBytes> {
    Request::new(Method::Get, url.to_owned())
}

async fn token(ask: &str, patience_ms: u32) -> Result<Option<String>, String> {
    let host = Host { access_token: function(ask), ..Host::default() };
    assert!(host.has_access_token());
    host.access_token(patience_ms).await.map_err(|(problem, cause)| {
        let thrown = cause.and_then(|cause| Rc::downcast::<JsValue>(cause).ok());
        format!("{problem} {}", thrown.and_then(|thrown| thrown.as_string()).unwrap_or_default())
    })
}

#[wasm_bindgen_test]
async fn a_dropped_request_is_aborted() {
    let fetch = function("(url, init) => { globalThis.sent = init; return new Promise(() => {}); }");
    let host = Host { fetch, ..Host::default() };
    let sent = async {
        let _ = host.send(get("https://x.invalid/"), within(60_000), None).await;
        panic!("the request has no end");
    };
    let soon = async {
        host.sleep(1).await;
        assert_eq!(eval("sent.signal.aborted"), false);
    };
    first_of(Box::pin(sent), Box::pin(soon)).await;
    assert_eq!(eval("sent.signal.aborted"), true);
}

#[wasm_bindgen_test]
async fn an_answer_that_is_too_long_to_be_read_is_told_of_both_kinds_of_requests() {
    let address = eval("URL.createObjectURL(new Blob(['x'.repeat(2 ** 25 + 1)]))").as_string().unwrap();
    for on_sent in [None, Some(Rc::new(|_| {}) as OnSent)] {
        let told = Host::default().send(get(&address), within(60_000), on_sent).await;
        assert!(matches!(told, Err(Failure::TooLong)));
    }
}

#[wasm_bindgen_test]
async fn a_request_without_an_answer_is_cut_and_aborted() {
    let fetch = function("(url, init) => { globalThis.sent = init; return new Promise(() => {}); }");
    let host = Host { fetch, ..Host::default() };
    assert!(matches!(host.send(get("https://x.invalid/"), within(20), None).await, Err(Failure::Timeout)));
    assert_eq!(eval("sent.signal.aborted"), true);
}

#[wasm_bindgen_test]
async fn a_dropped_wait_clears_its_timer() {
    eval(
        "globalThis.realSet = setTimeout; globalThis.realClear = clearTimeout; globalThis.open = new Map();
         globalThis.setTimeout = (done, ms) => { const id = realSet(done, ms); open.set(id, ms); return id; };
         globalThis.clearTimeout = (id) => { open.delete(id); realClear(id); };",
    );
    let host = Host::default();
    first_of(Box::pin(host.sleep(54_321)), Box::pin(host.sleep(1))).await;
    let open = eval("[...open.values()].join()");
    eval("globalThis.setTimeout = realSet; globalThis.clearTimeout = realClear;");
    assert_eq!(open, "", "timers that still run");
}

#[wasm_bindgen_test]
async fn a_wait_longer_than_a_timer_knows_does_not_end_at_once() {
    let host = Host::default();
    let long = async {
        host.sleep(u32::MAX).await;
        "too early"
    };
    let short = async {
        host.sleep(50).await;
        "in time"
    };
    assert_eq!(first_of(Box::pin(long), Box::pin(short)).await, "in time");
}

#[wasm_bindgen_test]
async fn an_answer_is_read_to_its_end() {
    let url = eval("URL.createObjectURL(new Blob(['[{\"id\":\"\\u00e4\"}]']))").as_string().unwrap();
    let Response { status, body, json, .. } = Host::default().send(get(&url), within(5000), None).await.unwrap();
    assert_eq!((status, body.as_str()), (200, "[{\"id\":\"ä\"}]"));
    let row = Json::Object(vec![("id".to_owned(), Json::Text("ä".to_owned()))]);
    assert_eq!(json, Some(Json::Array(vec![row])));
}

#[wasm_bindgen_test]
async fn an_answer_that_breaks_off_is_a_failure_of_the_network() {
    for fetch in [
        "() => ({ status: 200, headers: new Headers(), text: () => Promise.reject(new TypeError('broke')) })",
        "() => { throw new TypeError('broke'); }",
        "() => Promise.reject(new TypeError('broke'))",
        "() => Promise.reject(Object.assign(new Error('fetch failed'), { cause: new Error('broke') }))",
        "() => Promise.reject('broke')",
    ] {
        let host = Host { fetch: function(fetch), ..Host::default() };
        match host.send(get("https://x.invalid/"), within(5000), None).await {
            Err(Failure::Network(problem, Some(_))) => assert!(problem.contains("broke"), "{problem}: {fetch}"),
            other => panic!("{other:?}: {fetch}"),
        }
    }
    let stream = "() => new Response(new ReadableStream({ pull(stream) { stream.error(new TypeError('broke')); } }))";
    for fetch in [stream, "() => undefined", "() => ({})", "() => 42", "() => ({ status: 200 })"] {
        let host = Host { fetch: function(fetch), ..Host::default() };
        let answer = host.send(get("https://x.invalid/"), within(5000), None).await;
        assert!(matches!(answer, Err(Failure::Network(..))), "{fetch}");
    }
    let unreachable = Host::default().send(get("https://x.invalid/"), within(20_000), None).await;
    assert!(matches!(unreachable, Err(Failure::Network(..))));
}

#[wasm_bindgen_test]
async fn of_a_blob_only_the_piece_that_is_asked_for_is_read() {
    let blob = eval(
        "const big = new Blob([new Uint8Array([1, 2, 3, 4, 5])]); const slice = big.slice;
         big.slice = (...range) => { globalThis.range = range.join(); return slice.apply(big, range); };
         big.arrayBuffer = () => { throw new Error('the whole blob was read'); }; big",
    );
    let (host, blob) = (Host::default(), HostBytes::new(&blob).unwrap());
    assert_eq!(host.size(&blob), 5);
    assert_eq!(host.read(&blob, 0..3).await.unwrap(), [1, 2, 3]);
    assert_eq!(eval("range"), "0,3");
    assert_eq!(host.read(&blob, 2..300).await.unwrap(), [3, 4, 5]);

    let copy = HostBytes::new(&Uint8Array::from(&[7, 8, 9][..])).unwrap();
    assert_eq!(host.size(&copy), 3);
    assert_eq!(host.read(&copy, 1..2).await.unwrap(), [8]);
    assert_eq!(host.read(&copy, 0..64).await.unwrap(), [7, 8, 9]);

    let gone = "const gone = () => Promise.reject('gone')";
    for (gone, piece) in [
        (
            eval(&format!("{gone}; ({{ size: 5, slice: () => ({{ arrayBuffer: gone }}), arrayBuffer: () => {{}} }})")),
            0..3,
        ),
        (eval(&format!("{gone}; ({{ size: 5, slice: () => {{}}, arrayBuffer: gone }})")), 0..5),
    ] {
        let cause = host.read(&HostBytes::new(&gone).unwrap(), piece).await.unwrap_err();
        assert_eq!(cause.downcast_ref::<JsValue>().and_then(JsValue::as_string).as_deref(), Some("gone"));
    }
}

#[wasm_bindgen_test]
async fn a_token_is_given_or_it_is_told_why_not() {
    assert_eq!(Host::default().access_token(10).await.unwrap(), None);
    assert_eq!(token("() => 'a.b.c'", 5000).await.unwrap().as_deref(), Some("a.b.c"));
    assert_eq!(token("async () => 'a.b.c'", 5000).await.unwrap().as_deref(), Some("a.b.c"));
    for (ask, problem) in [
        ("() => { throw 'signed out'; }", "failed signed out"),
        ("async () => { throw 'signed out'; }", "failed signed out"),
        ("() => undefined", "gave no token "),
        ("() => 42", "gave no token "),
        ("() => ''", "gave no token "),
        ("() => 'a\\r\\nx-evil: 1'", "gave no token "),
        ("() => new Promise(() => {})", "gave no answer in time "),
    ] {
        assert_eq!(token(ask, 20).await.unwrap_err(), problem, "{ask}");
    }
}

#[wasm_bindgen_test]
fn the_host_has_a_clock_jitter_and_random_bytes() {
    let host = Host::default();
    assert!(host.now_ms() > 1_700_000_000_000);
    assert!((0.0..1.0).contains(&host.jitter()));
    let (one, other) = (host.random_bytes().unwrap(), host.random_bytes().unwrap());
    assert_ne!(one, other);
    assert_eq!(host.parse_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
    assert_eq!(host.parse_date("soon"), None);
    assert_eq!(host.parse_json("{"), None);
    assert_eq!(host.parse_json("[1,null]"), Some(Json::Array(vec![Json::Number(1.0), Json::Null])));
    assert!(in_browser(), "a page is one");
}

#[wasm_bindgen_test]
async fn a_secret_key_is_refused_in_a_page_unless_that_is_said_to_be_meant() {
    in_page(page::KEY_GUARD).await;
}

#[wasm_bindgen_test]
async fn every_kind_of_bytes_arrives_as_it_was_when_the_call_was_made() {
    in_page(
        "const bytes = [...PNG, 0].slice(0, PNG.length & ~1); // even, for words
         const buffer = () => Uint8Array.from([9, 9, ...bytes, 9]).buffer;
         // A page that is not isolated has no SharedArrayBuffer, but WebAssembly gives one.
         const shared = () => {
           const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
           const view = new Uint8Array(memory.buffer, 8, bytes.length);
           view.set(bytes);
           return view;
         };
         for (const [name, image] of Object.entries({
           blob: new Blob([Uint8Array.from(bytes)]),
           file: new File([Uint8Array.from(bytes)], 'x.png'),
           buffer: Uint8Array.from(bytes).buffer,
           bytes: new Uint8Array(buffer(), 2, bytes.length),
           clamped: new Uint8ClampedArray(buffer(), 2, bytes.length),
           words: new Uint16Array(Uint8Array.from([...bytes]).buffer, 0, bytes.length / 2),
           view: new DataView(buffer(), 2, bytes.length),
           shared: shared(),
         })) {
           sent.length = 0;
           const call = sink.sync({ ...request, image });
           const own = ArrayBuffer.isView(image) ? image : image instanceof ArrayBuffer ? new Uint8Array(image) : null;
           if (own) new Uint8Array(own.buffer, own.byteOffset, own.byteLength).fill(0);
           await call;
           const body = new Uint8Array(await new Response(sent[0].init.body).arrayBuffer());
           same(body.join(), bytes.join(), name);
           same(sent[0].init.headers['Content-Type'], 'image/png', name);
         }",
    )
    .await;
}

#[wasm_bindgen_test]
async fn a_blob_goes_by_reference() {
    in_page(
        "const image = new Blob([PNG]);
         await sink.sync({ ...request, image });
         same(sent[0].init.body === image, true, 'also to a fetch of the caller');
         sent.length = 0;
         const hosts = globalThis.fetch;
         globalThis.fetch = fetch;
         const own = new Sink({ ...options, fetch: undefined });
         await own.sync({ ...request, image }).finally(() => { globalThis.fetch = hosts; });
         same(sent[0].init.body === image, true, 'the blob itself');",
    )
    .await;
}

#[wasm_bindgen_test]
async fn what_is_no_image_is_refused() {
    in_page(
        "const detached = PNG.slice();
         structuredClone(detached.buffer, { transfer: [detached.buffer] });
         const detachedBuffer = PNG.slice().buffer;
         structuredClone(detachedBuffer, { transfer: [detachedBuffer] });
         for (const [name, image, words] of [
           ['a detached view', detached, 'detached'],
           ['a detached buffer', detachedBuffer, 'detached'],
           ['nothing', undefined, 'must be a Blob'],
           ['a text', 'png', 'must be a Blob'],
           ['a number', 42, 'must be a Blob'],
           ['an array', [1, 2], 'must be a Blob'],
           ['no bytes', new Uint8Array(), 'is empty'],
           ['an empty blob', new Blob([]), 'is empty'],
         ]) {
           const error = await rejection(sink.sync({ ...request, image }));
           same(error.code, 'invalid_image', name);
           same(error.field, 'image', name);
           same(error.message.includes(words), true, `${name}: ${error.message}`);
         }
         same(sent.length, 0, 'requests');",
    )
    .await;
}

#[wasm_bindgen_test]
async fn a_text_that_cant_be_stored_is_refused() {
    in_page(
        "for (const bad of ['\\ud800', 'a\\udc00b', 'x\\0'])
           for (const field of ['date', 'slug', 'prompt', 'backend', 'model', 'ext', 'mimeType', 'imageId']) {
             const error = await rejection(sink.sync({ ...request, [field]: bad }));
             same(error.field, field, JSON.stringify(bad));
             same(error.stage, 'request', field);
           }
         for (const sidecar of [{ a: '\\ud800' }, { a: ['x\\0'] }, { '\\udfff': 1 }]) {
           const error = await rejection(sink.sync({ ...request, sidecar }));
           same(error.code, 'invalid_request', JSON.stringify(sidecar));
         }
         same(sent.length, 0, 'requests');
         await sink.sync({ ...request, prompt: 'a \\u{1f30a} wave' });
         same(JSON.parse(sent[1].init.body).prompt, 'a \\u{1f30a} wave', 'a pair is no half');",
    )
    .await;
}

#[wasm_bindgen_test]
async fn an_error_is_a_real_one() {
    in_page(
        "answers.push(() => new Response('{\"statusCode\":\"413\",\"message\":\"big\",\"code\":\"EntityTooLarge\"}', { status: 400 }));
         const error = await rejection(sink.sync(request));
         same(error instanceof Error, true, 'an Error');
         same(Object.prototype.toString.call(error), '[object Error]', 'its tag');
         same(error.name, 'ImagenCloudError', 'name');
         same(error.message.startsWith('storage upload: 400: {'), true, error.message);
         same(typeof error.stack, 'string', 'stack');
         const { stage, code, status, serverCode, retryable, attempts, storagePath, imageId } = error;
         same(JSON.stringify({ stage, code, status, serverCode, retryable, attempts, storagePath, imageId }), JSON.stringify({
           stage: 'upload', code: 'too_large', status: 400, serverCode: 'EntityTooLarge', retryable: false, attempts: 1,
           storagePath: '2026-05-11/lighthouse-42.png', imageId: request.imageId,
         }), 'its properties');
         const down = new TypeError('no network');
         for (let i = 0; i < 3; i++) answers.push(() => { throw down; });
         const lost = await rejection(sink.signedUrl('a.png', 60));
         same(lost.cause === down, true, 'cause');
         same(`${lost.code} ${lost.stage} ${lost.retryable} ${lost.attempts} ${'status' in lost}`, 'network sign true 3 false', 'lost');",
    )
    .await;
}

#[wasm_bindgen_test]
async fn an_abort_ends_the_request_and_the_wait() {
    in_page(
        "const reason = new Error('no longer wanted');
         for (const stage of ['upload', 'insert']) {
           sent.length = 0;
           const controller = new AbortController();
           if (stage === 'insert') answers.push(undefined);
           answers.push(() => { setTimeout(() => controller.abort(reason)); return new Promise(() => {}); });
           const error = await rejection(sink.sync(request, { signal: controller.signal }));
           same(`${error.code} ${error.stage} ${error.cause === reason}`, `aborted ${stage} true`, stage);
           same(sent.at(-1).init.signal.aborted, true, 'the fetch itself');
         }
         const waiting = new Sink({ ...options, initialBackoffMs: 1e6, maxBackoffMs: 1e6 });
         const controller = new AbortController();
         answers.push(() => new Response('', { status: 503 }));
         const onRetry = () => setTimeout(() => controller.abort());
         const error = await rejection(waiting.sync(request, { signal: controller.signal, onRetry }));
         same(`${error.code} ${error.cause.name}`, 'aborted AbortError', 'a wait');
         const late = await rejection(waiting.sync(request, { signal: AbortSignal.abort(reason) }));
         same(late.cause === reason, true, 'aborted before');",
    )
    .await;
}

#[wasm_bindgen_test]
async fn callbacks_may_throw_reject_call_back_and_free_the_sink() {
    in_page(
        "const unhandled = [];
         let hear;
         const all = new Promise((heard) => { hear = heard; });
         const listener = (event) => {
           event.preventDefault();
           if (event.reason === 'the last') hear();
           else unhandled.push(event.reason);
         };
         addEventListener('unhandledrejection', listener);
         for (const onProgress of [
           () => { throw new Error('mine'); },
           async () => { throw new Error('mine'); },
           () => ({ get catch() { throw new Error('mine'); } }),
           () => void sink.signedUrl('a.png', 60).catch(() => {}),
         ]) {
           answers.push(() => new Response('', { status: 503 }));
           const { storagePath } = await sink.sync(request, { onProgress, onRetry: onProgress });
           same(storagePath, '2026-05-11/lighthouse-42.png', 'the result');
         }
         const own = new Sink(options);
         const heard = [];
         await own.sync(request, { onProgress: ({ stage }) => { heard.push(stage); if (stage === 'upload') own.free(); } });
         same(heard.join(), 'upload,insert,done', 'a freed sink');
         // They are told in their order.
         Promise.reject('the last');
         await all;
         removeEventListener('unhandledrejection', listener);
         same(unhandled.length, 0, String(unhandled));",
    )
    .await;
}
