// The tus part in Node: a process of its own.
import { PostgrestClient } from "@supabase/postgrest-js";
import { StorageClient } from "@supabase/storage-js";
import { createClient } from "@supabase/supabase-js";
import { createSink } from "imagen-cloud";
import { Upload } from "tus-js-client";
import { timeTus } from "./tus-each.mjs";

/** tus-js-client takes no other view there. */
class UploadOfBuffer extends Upload {
  constructor({ buffer, byteOffset, byteLength }, options) {
    super(Buffer.from(buffer, byteOffset, byteLength), options);
  }
}

const modules = { createSink, StorageClient, PostgrestClient, createClient, Upload: UploadOfBuffer };
const measured = await timeTus(JSON.parse(process.argv[2]), modules);
process.send(measured, () => process.exit());
