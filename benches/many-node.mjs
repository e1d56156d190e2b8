// The many part in Node, a process of its own. HTTP/2, with `certificate`, is undici's: Node's own fetch doesn't speak it.
import { PostgrestClient } from "@supabase/postgrest-js";
import { StorageClient } from "@supabase/storage-js";
import { createClient } from "@supabase/supabase-js";
import { createSink } from "imagen-cloud";
import * as undici from "undici";
import { timeMany } from "./many-each.mjs";

const { certificate, ...plan } = JSON.parse(process.argv[2]);

function overHttp2() {
  const dispatcher = new undici.Agent({ allowH2: true, connect: { ca: certificate } });
  return (url, init) => undici.fetch(url, { ...init, dispatcher });
}

const fetch = certificate && overHttp2();
const samples = await timeMany(plan, { createSink, StorageClient, PostgrestClient, createClient, fetch });
process.send(samples, () => process.exit());
