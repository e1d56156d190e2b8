/**
 * Compares what a client believes with what a project's database and bucket hold.
 *
 *   const beliefs = [{ storagePath, imageId, sha256: sha256(bytes), ok: true }, …];   // one for each image
 *   const report = await verify({ url: supabase.url, serviceKey: supabase.serviceKey, beliefs });
 *   assert.deepEqual(report.problems, []);
 *
 * `ok` says whether the image was acknowledged, that is, whether its sync resolved. An image that was not may have
 * left an object and a row or not; it only must not have left half of both, see below. Ask the project itself, not a
 * proxy that breaks requests.
 */
import { createHash } from "node:crypto";

const PAGE = 1000;

/** A belief's `sha256`. */
export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * @param {object} options
 * @param {string} options.url The project's URL.
 * @param {string} options.serviceKey A key that sees every row and object.
 * @param {{ storagePath?: string, imageId?: string, sha256?: string, ok: boolean }[]} options.beliefs
 * @param {string} [options.bucket]
 * @param {string} [options.schema]
 * @param {string} [options.table]
 * @param {string} [options.prefix] Look only at storage paths that start so.
 * @returns A list for each kind of damage, `rows` and `objects` (how many there are), and `problems`, one line for
 *   each damage:
 *   - `missingRows`, `missingObjects`: acknowledged, but not there;
 *   - `duplicateRows`: storage paths that have more rows than acknowledged or believed images;
 *   - `orphans`: objects without a row;
 *   - `bareRows`: rows without an object;
 *   - `unacknowledgedRows`: rows of images that were not acknowledged, or that nobody knows of;
 *   - `differentBytes`: acknowledged, but with other bytes.
 */
export async function verify({
  url,
  serviceKey,
  beliefs,
  bucket = "imagen-generated",
  schema = "imagen",
  table = "images",
  prefix = "",
}) {
  const ask = client(url, serviceKey);
  const isMeant = (path) => path.startsWith(prefix);
  const rows = (await listRows(ask, schema, table)).filter(({ storage_path: path }) => isMeant(path));
  const objects = new Set((await listObjects(ask, bucket)).filter(isMeant));

  const rowsById = new Map(rows.map((row) => [row.id, row]));
  const rowsByPath = Map.groupBy(rows, (row) => row.storage_path);
  const acknowledged = beliefs.filter(({ ok }) => ok);
  const acknowledgedIds = new Set(acknowledged.map(({ imageId }) => imageId));
  const believedByPath = Map.groupBy(beliefs, ({ storagePath }) => storagePath);

  const found = {
    missingRows: acknowledged
      .filter(({ imageId, storagePath }) => rowsById.get(imageId)?.storage_path !== storagePath)
      .map(({ storagePath, imageId }) => `${storagePath} (${imageId})`),
    missingObjects: acknowledged.map(({ storagePath }) => storagePath).filter((path) => !objects.has(path)),
    duplicateRows: [...rowsByPath]
      .filter(([path, same]) => same.length > Math.max(1, believedByPath.get(path)?.length ?? 0))
      .map(([path, same]) => `${path} (${same.length} rows)`),
    orphans: [...objects].filter((path) => !rowsByPath.has(path)),
    bareRows: rows.filter(({ storage_path: path }) => !objects.has(path)).map(({ id }) => id),
    unacknowledgedRows: rows.filter(({ id }) => !acknowledgedIds.has(id)).map(({ id }) => id),
    differentBytes: await differing(ask, bucket, acknowledged, objects),
  };
  const problems = Object.entries(found).flatMap(([kind, items]) => items.map((item) => `${kind}: ${item}`));
  return { ...found, problems, rows: rows.length, objects: objects.size };
}

/** Acknowledged storage paths whose bytes are none of those that were acknowledged for them. */
async function differing(ask, bucket, acknowledged, objects) {
  const known = acknowledged.filter(({ storagePath, sha256: hash }) => hash && objects.has(storagePath));
  const different = [];
  for (const [path, same] of Map.groupBy(known, ({ storagePath }) => storagePath)) {
    const response = await ask(`/storage/v1/object/${bucket}/${path.split("/").map(encodeURIComponent).join("/")}`);
    const hash = sha256(Buffer.from(await response.arrayBuffer()));
    if (!same.some((belief) => belief.sha256 === hash)) different.push(path);
  }
  return different;
}

async function listRows(ask, schema, table) {
  const rows = [];
  for (;;) {
    const query = `select=id,storage_path&order=id&limit=${PAGE}&offset=${rows.length}`;
    const page = await (await ask(`/rest/v1/${table}?${query}`, { headers: { "accept-profile": schema } })).json();
    rows.push(...page);
    if (page.length < PAGE) return rows;
  }
}

/** The names of all objects: the real server lists one folder at a time, others everything below it at once. */
async function listObjects(ask, bucket, folder = "") {
  const names = [];
  for (let offset = 0; ; offset += PAGE) {
    const response = await ask(`/storage/v1/object/list/${bucket}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prefix: folder, limit: PAGE, offset, sortBy: { column: "name", order: "asc" } }),
    });
    const page = await response.json();
    for (const item of page) {
      if (item.path_tokens) names.push(item.path_tokens.join("/"));
      else if (item.id === null) names.push(...(await listObjects(ask, bucket, `${folder}${item.name}/`)));
      else names.push(folder + item.name);
    }
    if (page.length < PAGE) return names;
  }
}

function client(url, key) {
  return async (path, { headers, ...init } = {}) => {
    const response = await fetch(url + path, {
      ...init,
      headers: { apikey: key, authorization: `Bearer ${key}`, ...headers },
    });
    if (!response.ok) throw new Error(`verify: ${path} answered ${response.status}: ${await response.text()}`);
    return response;
  };
}
