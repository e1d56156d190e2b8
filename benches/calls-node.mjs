// The calls part in Node: a process of its own, so that each run starts with cold code.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { PostgrestClient } from "@supabase/postgrest-js";
import { StorageClient } from "@supabase/storage-js";
import { createClient } from "@supabase/supabase-js";
import { createSink } from "imagen-cloud";
import { timeCalls } from "./calls-each.mjs";

const { BEFORE: clone } = process.env;
const before = clone && (await import(pathToFileURL(join(resolve(clone), "pkg/node.js")).href));
const samples = await timeCalls(JSON.parse(process.argv[2]), {
  createSink,
  createSinkBefore: before?.createSink,
  StorageClient,
  PostgrestClient,
  createClient,
});
process.send(samples, () => process.exit());
