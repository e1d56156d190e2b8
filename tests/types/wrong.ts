// Wrong uses of the API: tsc must complain about each line that follows `@ts-expect-error`, and about no other.
import * as small from "imagen-cloud";
import {
  createOutbox,
  createRelay,
  createSink,
  createSinkFromEnv,
  drainInBackground,
  ImagenCloudError,
  isImagenCloudError,
  type Outbox,
  type Relay,
  type Sink,
  type SinkOptions,
  type SyncRequest,
  signedUrl,
  sync,
} from "imagen-cloud/outbox";

declare const sink: Sink;
declare const outbox: Outbox;
declare const relay: Relay;
const options = { url: "https://abcd.supabase.co", apiKey: "sb_publishable_…" };
const request = { date: "d", slug: "s", seed: 1, image: new Uint8Array(1), prompt: "p", backend: "b" };

// @ts-expect-error: url is missing
createSink({ apiKey: "k" });
// @ts-expect-error: apiKey is missing
createSink({ url: "https://abcd.supabase.co" });
// @ts-expect-error: no such option
createSink({ ...options, bukket: "x" });
// @ts-expect-error: a number, not text
createSink({ ...options, maxRetries: "2" });
// @ts-expect-error: a function, not the token
createSink({ ...options, accessToken: "eyJ…" });
// @ts-expect-error: gives no token
createSink({ ...options, accessToken: async () => undefined });
// @ts-expect-error: no fetch
createSink({ ...options, fetch: "fetch" });
// @ts-expect-error: null is not left out
createSink({ ...options, bucket: null });

// @ts-expect-error: may be undefined
(await createSinkFromEnv({})).sync(request);
// @ts-expect-error: an environment is an object
createSinkFromEnv("SUPABASE_URL=x");

// @ts-expect-error: image is missing
sink.sync({ date: "d", slug: "s", seed: 1, prompt: "p", backend: "b" });
// @ts-expect-error: no such field
sink.sync({ ...request, promt: "x" });
// @ts-expect-error: a slug is text
sink.sync({ ...request, slug: 42 });
// @ts-expect-error: a seed is a number or a bigint
sink.sync({ ...request, seed: "42" });
// @ts-expect-error: no image
sink.sync({ ...request, image: "data:image/png;base64," });
// @ts-expect-error: no image
sink.sync({ ...request, image: [137, 80, 78, 71] });
// @ts-expect-error: a sidecar is an object
sink.sync({ ...request, sidecar: "{}" });
// @ts-expect-error: JSON holds no function
sink.sync({ ...request, sidecar: { a: () => 1 } });
// @ts-expect-error: JSON holds no bigint
sink.sync({ ...request, sidecar: { a: 1n } });
// @ts-expect-error: a call has no such option
sink.sync(request, { onProgres: () => {} });
// @ts-expect-error: no signal
sink.sync(request, { signal: new AbortController() });
// @ts-expect-error: progress has no such stage
sink.sync(request, { onProgress: ({ stage }) => stage === "finished" });
// @ts-expect-error: signing reports no progress
sink.signedUrl("a/b.png", 60, { onProgress: () => {} });
// @ts-expect-error: many are an array
sink.syncMany(request);
// @ts-expect-error: one call sends one image
sink.sync(request, { concurrency: 2 });
// @ts-expect-error: an outcome has a path only where it is ok
sink.syncMany([request]).then(([outcome]) => outcome.storagePath);
// @ts-expect-error: a ttl is a number
sink.signedUrl("a/b.png", "60");
// @ts-expect-error: the path is missing
signedUrl(options);
// @ts-expect-error: the request is missing
sync(options);

// @ts-expect-error: an outbox is opened over a sink, not over its options
createOutbox(options);
// @ts-expect-error: a sink of the entry that has no outbox
createOutbox(await small.createSink(options));
// @ts-expect-error: nor a relay
createOutbox(await small.createRelay({ url: options.url, accessToken: () => "eyJ…" }));
// @ts-expect-error: that entry has no outbox
small.createOutbox(sink);
// @ts-expect-error: no such option
createOutbox(sink, { maxJob: 1 });
// @ts-expect-error: no registration
createOutbox(sink, { serviceWorker: "/sw.js" });
// @ts-expect-error: the image is missing
outbox.enqueue({ date: "d", slug: "s", seed: 1, prompt: "p", backend: "b" });
// @ts-expect-error: enqueue sends nothing, so there is nothing to abort
outbox.enqueue(request, { signal: new AbortController().signal });
// @ts-expect-error: jobs have ids
outbox.retry(1);
// @ts-expect-error: a change has no such state
outbox.onChange((change) => change.state === "sent");
// @ts-expect-error: the outbox itself is paused, and has no id then
outbox.onChange((change) => change.id);
// @ts-expect-error: read-only
outbox.list().then(([job]) => delete job.state);
// @ts-expect-error: a function that opens it
drainInBackground(outbox);
// @ts-expect-error: paths are an array
sink.signedUrls("a/b.png");
// @ts-expect-error: null for one that is missing
sink.signedUrls(["a/b.png"]).then(([link]) => link.length);
// @ts-expect-error: a name or a boolean
sink.signedUrl("a/b.png", 60, { download: 1 });
// @ts-expect-error: a link may be missing
sink.sync(request, { signedUrl: 60 }).then(({ signedUrl }) => signedUrl.length);
// @ts-expect-error: seeds are bigints
sink.list().then(({ images }) => images[0]?.seed.toFixed());
// @ts-expect-error: only columns that were asked for
sink.list({ columns: ["a"] }).then(({ images }) => images[0]?.columns.b);
// @ts-expect-error: Storage knows no such fit
sink.signedUrl("a/b.png", 60, { transform: { resize: "crop" } });
// @ts-expect-error: an id or a path says which image
sink.remove({});
// @ts-expect-error: an object, which says which of both it is
sink.remove("a/b.png");
// @ts-expect-error: sinks are made by createSink
new (await import("imagen-cloud")).Sink(options);
// @ts-expect-error: a relay needs a token
createRelay({ url: "https://pictures.example.com" });
// @ts-expect-error: the Worker has the key
createRelay({ url: "https://pictures.example.com", accessToken: () => "eyJ…", apiKey: "k" });
// @ts-expect-error: the Worker signs one at a time
relay.signedUrls(["a/b.png"]);

// @ts-expect-error: only the package makes them
new ImagenCloudError("x");

export function explain(error: unknown): void {
  // @ts-expect-error: not known to be one
  console.log(error.code);
  if (!isImagenCloudError(error)) return;
  // @ts-expect-error: no such code
  console.log(error.code === "not_found");
  // @ts-expect-error: no such stage
  console.log(error.stage === "download");
  // @ts-expect-error: read-only
  error.code = "network";
  // @ts-expect-error: may be undefined
  console.log(error.status.toFixed());
}

// @ts-expect-error: a result has no such field
sink.sync(request).then((result) => result.path);

export const fine: [SinkOptions, SyncRequest] = [options, request];
