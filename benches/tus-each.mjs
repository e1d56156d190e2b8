// The tus part's measurement, the same in Node and in a page.
import { BUCKET, connect, fakeBlob, fakePng, insertByHand, keys, pathOf, requestOf, SEED } from "./contenders.mjs";
import { interleave } from "./support.mjs";

const CHUNK_BYTES = 6 * 1024 * 1024;
/** Nobody waits long after a cut: what waits is measured elsewhere. */
const WAIT_MS = 10;

/** Gives the times, and what the server received of each upload, by contender. */
export async function timeTus({ url, size, rounds, peerTakes }, { Upload, ...modules }) {
  const images = { Blob: await fakeBlob(size), view: peerTakes === "view" && fakePng(size) };
  const { sink } = await connect(url, modules, { chunkSize: CHUNK_BYTES, initialBackoffMs: WAIT_MS, maxRetries: 5 });
  const calls = {
    "tus-js-client": async () => {
      await byTusClient(Upload, url, images[peerTakes]);
      await insertByHand(url);
    },
  };
  for (const [kind, image] of Object.entries(images)) {
    if (image) calls[`ours, a ${kind}`] = () => sink.sync(requestOf(image));
  }
  const received = {};
  const counted = Object.entries(calls).map(([name, call]) => {
    received[name] = [];
    return [
      name,
      async () => {
        await call();
        received[name].push(await (await fetch(`${url}/received`)).json());
      },
    ];
  });
  const times = await interleave(Object.fromEntries(counted), { warmUp: 1, rounds, batch: 1 });
  return { times, received };
}

/** As Supabase's documentation has it. */
const byTusClient = (Upload, url, image) =>
  new Promise((resolve, reject) => {
    const upload = new Upload(image, {
      endpoint: `${url}/storage/v1/upload/resumable`,
      retryDelays: Array(5).fill(WAIT_MS),
      onShouldRetry: () => true, // by itself it asks navigator.onLine, which is false on a machine without a network
      headers: { ...keys, "x-upsert": "true" },
      uploadDataDuringCreation: true,
      storeFingerprintForResuming: false,
      metadata: { bucketName: BUCKET, objectName: pathOf(SEED), contentType: "image/png", cacheControl: "3600" },
      chunkSize: CHUNK_BYTES,
      onError: reject,
      onSuccess: resolve,
    });
    upload.start();
  });
