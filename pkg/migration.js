// The migrations as one text, with the names that a project wants. On a server only: it reads the package's files.
import { readdir, readFile } from "node:fs/promises";
import { failed } from "./errors.js";

const FOLDER = new URL("./migrations/", import.meta.url);
const NAME = /^[a-z_][a-z0-9_]{0,39}$/;
/** What has tables of others in it, whose rights the migrations would take away. */
const TAKEN = /^(?:public|auth|storage|realtime|vault|extensions|graphql|graphql_public|information_schema|pg_.*)$/;
const BUCKET = /^[\w!.*'() &$@=;:+,?-]{1,100}$/;

/**
 * @param {{ schema?: string, table?: string, bucket?: string, update?: boolean }} options with `update` without the first one,
 *   for a project that has the table: the others may run twice
 */
export async function migration({ schema = "imagen", table = "images", bucket = "imagen-generated", update } = {}) {
  const wrong = (field, problem) => failed("config", "invalid_config", `${field} ${problem}`, { field });
  for (const [field, name] of Object.entries({ schema, table })) {
    if (!NAME.test(name))
      throw wrong(field, "must be lower-case letters, digits and _, at most 40, and begin with no digit");
  }
  if (TAKEN.test(schema)) throw wrong("schema", `must be one of its own: ${schema} has others' tables in it`);
  if (!BUCKET.test(bucket)) throw wrong("bucket", "must be a bucket's name: letters, digits and _!-.*'() &$@=;:+,?");
  const all = (await readdir(FOLDER)).filter((file) => file.endsWith(".sql")).sort();
  const files = update ? all.slice(1) : all;
  const texts = files.map(
    async (file) =>
      `-- ${file}\n\n${renamed(await readFile(new URL(file, FOLDER), "utf8"), { schema, table, bucket })}`,
  );
  return (await Promise.all(texts)).join("\n");
}

/** Names stand as `imagen.images`, `images_…`, `imagen` and `'imagen-generated'`; the package's own as `imagen-cloud`. */
function renamed(sql, { schema, table, bucket }) {
  const names = {
    "imagen-generated": bucket.replaceAll("'", "''"),
    "imagen-cloud": "imagen-cloud",
    "imagen.images": `${schema}.${table}`,
    images_: `${table}_`,
    imagen: schema,
  };
  return sql.replaceAll(
    /imagen-generated|imagen-cloud|\bimagen\.images\b|\bimages_|\bimagen\b/g,
    (name) => names[name],
  );
}
