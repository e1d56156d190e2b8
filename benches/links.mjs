// What a link costs beside its image, and a page of images with theirs, on a line that takes 40 ms.

import { createClient } from "@supabase/supabase-js";
import { createRelay, createSink } from "imagen-cloud";
import { bundleWorker } from "../www/local/worker.mjs";
import { BUCKET, byClients, fakePng, pathOf, requestOf, SEED, sinkOptions, supabaseClient } from "./contenders.mjs";
import { startServer } from "./host.mjs";
import { figure, interleave } from "./support.mjs";
import { someUser } from "./worker.mjs";
import { startWorkerd, writeWorker } from "./workerd.mjs";

export const title = "links: an image of 200 kB and its row, or a page of 24, with links, at 40 ms";
export const notes = [
  "The server answers after 40 ms, in a process of its own; the Worker is workerd on the same machine, 40 ms from the server and none from the caller.",
  "supabase-js sends its three requests one after the other, as its users write it, and for the list its two.",
  "A ratio is beside one request of the same round, a fetch of one row.",
  "A relay gives each image its id, and of an id that it is given the Worker asks first whether it is another user's: a round trip of its own, since nothing is stored before. A form without an id shows the rest: upload, then row and link at once.",
  "The requests of a caller are counted by its own fetch, and are no times.",
];

const SECRET = "a-secret-of-the-bench-that-is-long-enough-for-it";
const ROWS = 24;
const plan = { warmUp: 5, rounds: 40, batch: 1 };

export async function run() {
  const server = await startServer({ answerAfterMs: 40, rows: ROWS + 1 });
  const env = { SUPABASE_URL: server.url, SUPABASE_SERVICE_KEY: "bench-key", SUPABASE_JWT_SECRET: SECRET };
  const written = await writeWorker(await bundleWorker(), env);
  const worker = await startWorkerd(written);
  try {
    const { calls, counted } = await callers(server.url, worker.url);
    const samples = await interleave(calls, plan);
    const [one, names] = ["one request", Object.keys(LIMITS)];
    const timed = names.map((what) =>
      figure({
        what,
        unit: "ms",
        samples: samples[what],
        beside: { name: one, samples: samples[one] },
        limit: LIMITS[what],
      }),
    );
    return [figure({ what: one, unit: "ms", samples: samples[one] }), ...timed, ...(await counted())];
  } finally {
    await worker.close();
    await written.remove();
    server.close();
  }
}

const [SYNC, RELAYED, POSTED, LIST] = [
  "sync with its link: ours",
  "sync with its link: ours, by the Worker",
  "sync with its link: ours, by the Worker, which gives the id",
  "list of 24 with links: ours",
];
const LIMITS = {
  [SYNC]: 2.15,
  [RELAYED]: 3.4,
  [POSTED]: 2.4,
  "sync with its link: supabase-js": undefined,
  [LIST]: 2.2,
  "list of 24 with links: supabase-js": undefined,
};

async function callers(url, workerUrl) {
  const image = fakePng(200_000);
  const user = await someUser();
  const sent = { count: 0 };
  const counting = (...args) => {
    sent.count += 1;
    return fetch(...args);
  };
  const sink = await createSink({ ...sinkOptions(url), fetch: counting });
  const relay = await createRelay({ url: workerUrl, accessToken: () => user.token, fetch: counting });
  const supabase = supabaseClient(createClient, url);
  const link = (call) => async () => {
    const { signedUrl } = await call(requestOf(image), { signedUrl: 60 });
    if (!signedUrl) throw new Error("no link");
  };
  const calls = {
    "one request": async () => (await fetch(`${url}/rest/v1/images?limit=1`)).json(),
    [SYNC]: link(sink.sync),
    [RELAYED]: link(relay.sync),
    [POSTED]: async () => {
      const { image: _, ...fields } = requestOf(image);
      const form = new FormData();
      form.append("request", JSON.stringify(fields));
      form.append("image", new File([image], "a.png", { type: "image/png" }));
      const headers = { authorization: `Bearer ${user.token}` };
      const answer = await fetch(`${workerUrl}/api/sync?ttl=60`, { method: "POST", body: form, headers });
      if (!(await answer.json()).signedUrl) throw new Error("no link");
    },
    "sync with its link: supabase-js": async () => {
      await byClients(supabase.storage, supabase, image);
      const { error } = await supabase.storage.from(BUCKET).createSignedUrl(pathOf(SEED), 60);
      if (error) throw error;
    },
    [LIST]: async () => {
      const { images } = await sink.list({ limit: ROWS });
      if (images.length !== ROWS || images.some(({ signedUrl }) => !signedUrl)) throw new Error("no page");
    },
    "list of 24 with links: supabase-js": async () => {
      const rows = await supabase.from("images").select().order("created_at", { ascending: false }).limit(ROWS);
      const paths = rows.data.map(({ storage_path: path }) => path);
      const { error } = await supabase.storage.from(BUCKET).createSignedUrls(paths, 60);
      if (error) throw error;
    },
  };
  const counted = async () => {
    const figures = [];
    for (const [name, limit] of [
      [SYNC, 3],
      [RELAYED, 1],
      [LIST, 2],
    ]) {
      sent.count = 0;
      await calls[name]();
      const what = `requests of the caller: ${name}`;
      figures.push(figure({ what, unit: "requests", samples: [sent.count], limit }));
    }
    return figures;
  };
  return { calls, counted };
}
