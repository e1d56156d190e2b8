//! Runs JavaScript beside the library, in a page or one of its workers.

use imagen_cloud::api::Sink;
use js_sys::Function;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// What the scripts of [`in_page`] find: `Sink`; `options` of a sink whose `fetch` takes what `answers` holds, then
/// answers as Supabase; `sent`, what was fetched; `sink`; `request`; and two ways to check.
const PRELUDE: &str = "
  const PNG = Uint8Array.from(atob('iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6BAAAAEklEQVR4nGP4z8DwHxkzEBYAAKJtD/EiUZDwAAAAAElFTkSuQmCC'), (c) => c.charCodeAt(0));
  const [sent, answers] = [[], []];
  const fetch = async (url, init) => {
    sent.push({ url, init });
    const answer = answers.shift();
    if (answer) return answer();
    if (init.method === 'PUT') return Response.json({ Key: 'bucket/key' });
    if (url.includes('/sign/')) return Response.json({ signedURL: '/object/sign/a.png?token=t' });
    return Response.json([JSON.parse(init.body)], { status: 201 });
  };
  const options = { url: 'https://x.invalid', apiKey: 'sb_publishable_x', ownerUserId: '7d6f2b8e-1111-4222-8333-444455556666', initialBackoffMs: 1, fetch };
  const sink = new Sink(options);
  const request = {
    date: '2026-05-11', slug: 'lighthouse', seed: 42, image: PNG, prompt: 'p', backend: 'b',
    imageId: '00000000-0000-4000-8000-00000000002a',
  };
  const same = (is, wanted, what) => { if (is !== wanted) throw new Error(`${what}: ${is} instead of ${wanted}`); };
  const rejection = (promise) => promise.then(() => { throw new Error('it resolved'); }, (error) => error);
";

/// A secret key is refused where others may look, unless that is said to be meant.
pub(crate) const KEY_GUARD: &str = "
  const jwt = (role) => `eyJhbGciOiJIUzI1NiJ9.${btoa(JSON.stringify({ role })).replace(/=+$/, '')}.c2ln`;
  for (const apiKey of ['sb_secret_N7UND0UgjKTVK', jwt('service_role')]) {
    let thrown;
    try { new Sink({ ...options, apiKey }); } catch (error) { thrown = error; }
    same(thrown?.code, 'secret_key_in_browser', apiKey);
    same(thrown.message.includes(apiKey), false, 'the key in the message');
    new Sink({ ...options, apiKey, dangerouslyAllowSecretKeyInBrowser: true }).free();
    thrown = undefined;
    try { Sink.fromEnv({ SUPABASE_URL: options.url, SUPABASE_SERVICE_KEY: apiKey }); } catch (error) { thrown = error; }
    same(thrown?.code, 'secret_key_in_browser', 'from the environment');
  }
  for (const apiKey of ['sb_publishable_x', jwt('anon')]) new Sink({ ...options, apiKey }).free();
";

/// The value of a script.
pub(crate) fn eval(code: &str) -> JsValue {
    js_sys::eval(code).unwrap_or_else(|thrown| panic!("{thrown:?}"))
}

/// Runs a script to its end; what it throws fails the test.
pub(crate) async fn in_page(code: &str) {
    let bootstrap = js_sys::Object::new();
    for (name, value) in [("url", "https://x.invalid"), ("apiKey", "sb_publishable_x")] {
        js_sys::Reflect::set(&bootstrap, &name.into(), &value.into()).unwrap();
    }
    let first = JsValue::from(Sink::new(bootstrap.into(), JsValue::UNDEFINED).unwrap());
    let class = js_sys::Reflect::get(&first, &"constructor".into()).unwrap();
    let script: Function = eval(&format!("(async (Sink) => {{ {PRELUDE} {code} }})")).unchecked_into();
    let running: js_sys::Promise = script.call1(&JsValue::UNDEFINED, &class).unwrap().unchecked_into();
    JsFuture::from(running).await.unwrap_or_else(|thrown| panic!("{thrown:?}"));
}
