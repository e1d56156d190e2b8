// Where the embedded backend keeps the bytes of Storage objects: files under one folder.
//
// @supabase/lite exports no adapter of its own. An object's file is named by the hash of its bucket and
// key, so that any key Storage allows is a file name here too, and is written beside the old one and
// renamed: a reader sees the old bytes or the new ones, and a cut upload leaves nothing.

import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";

/** lite's StorageAdapter over a folder. */
export class FileObjects {
  driver = "file";

  /** @param {string} directory made when it is missing */
  constructor(directory) {
    this.directory = directory;
  }

  async uploadObject(bucket, key, _version, body, mimetype, cacheControl) {
    const file = await this.#newFile();
    try {
      const { size, md5 } = await writeAll(file, body);
      return await this.#publish(bucket, key, file, { size, eTag: `"${md5}"`, mimetype, cacheControl });
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
  }

  /**
   * Takes a finished file as the object's bytes.
   * @param {string} file is moved
   */
  async adoptFile(bucket, key, file, mimetype, cacheControl) {
    const { size, md5 } = await hashFile(file);
    const own = await this.#newFile();
    await rename(file, own);
    return this.#publish(bucket, key, own, { size, eTag: `"${md5}"`, mimetype, cacheControl });
  }

  async getObject(bucket, key) {
    const record = await this.#record(bucket, key);
    const body = Readable.toWeb(createReadStream(path.join(this.directory, record.file)));
    return { httpStatusCode: 200, metadata: metadata(record), body };
  }

  async headObject(bucket, key) {
    return metadata(await this.#record(bucket, key));
  }

  async copyObject(bucket, key, _version, toBucket, toKey) {
    const record = await this.#record(bucket, key);
    const file = await this.#newFile();
    await copyFile(path.join(this.directory, record.file), file);
    const copy = await this.#publish(toBucket, toKey, file, record);
    return { httpStatusCode: 200, eTag: copy.eTag, lastModified: copy.lastModified };
  }

  async deleteObject(bucket, key) {
    const record = await this.#record(bucket, key).catch(() => undefined);
    if (record === undefined) return;
    await rm(this.#recordFile(bucket, key), { force: true });
    await rm(path.join(this.directory, record.file), { force: true });
  }

  async deleteObjects(bucket, keys) {
    for (const key of keys) await this.deleteObject(bucket, key);
  }

  async privateAssetUrl(bucket, key) {
    const record = await this.#record(bucket, key);
    return `file://${path.join(this.directory, record.file)}`;
  }

  async #newFile() {
    await mkdir(this.directory, { recursive: true });
    return path.join(this.directory, `${randomUUID()}.bytes`);
  }

  #recordFile(bucket, key) {
    const name = createHash("sha256").update(`${bucket}/${key}`).digest("hex");
    return path.join(this.directory, `${name}.json`);
  }

  async #record(bucket, key) {
    return JSON.parse(await readFile(this.#recordFile(bucket, key), "utf8"));
  }

  async #publish(bucket, key, file, { size, eTag, mimetype, cacheControl }) {
    const before = await this.#record(bucket, key).catch(() => undefined);
    const record = { file: path.basename(file), size, eTag, mimetype, cacheControl, lastModified: Date.now() };
    const draft = `${file}.json`;
    await writeFile(draft, JSON.stringify(record));
    await rename(draft, this.#recordFile(bucket, key));
    // Whoever reads the old bytes keeps them: an unlinked file lives as long as it is open.
    if (before !== undefined) await rm(path.join(this.directory, before.file), { force: true });
    return metadata(record);
  }
}

function metadata({ size, eTag, mimetype, cacheControl, lastModified }) {
  return { size, contentLength: size, eTag, mimetype, cacheControl, lastModified: new Date(lastModified) };
}

async function writeAll(file, body) {
  const chunks = body instanceof Uint8Array ? [body] : body;
  const hash = createHash("md5");
  let size = 0;
  const handle = await open(file, "wx");
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      size += chunk.byteLength;
      await handle.write(chunk);
    }
  } finally {
    await handle.close();
  }
  return { size, md5: hash.digest("hex") };
}

async function hashFile(file) {
  const hash = createHash("md5");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return { size: (await stat(file)).size, md5: hash.digest("hex") };
}
