// The embedded backend's database: PGlite (PostgreSQL in WebAssembly, in this process) or a PostgreSQL
// server, with Supabase's roles and schemas and this project's migrations in it.

import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { App, getAuthSchemaSql, getStorageSchemaSql, SUPABASE_AUTH_HELPERS_SQL } from "@supabase/lite";
import { answerCheckViolations } from "./check-violations.mjs";
import { serialised } from "./pglite-queue.mjs";
import { quietly } from "./quiet.mjs";

const MIGRATIONS = fileURLToPath(new URL("./migrations/", import.meta.url));

// The roles that PostgREST and Storage act as, with the rights that a hosted project gives them. lite
// would otherwise make them at the first request and grant them everything in every schema.
const ROLES = `
do $$
declare statement text;
begin
  foreach statement in array array[
    'create role anon nologin noinherit',
    'create role authenticated nologin noinherit',
    'create role service_role nologin noinherit bypassrls'
  ] loop
    begin
      execute statement;
    -- Roles belong to the server, not the database: another one may have made them, even just now.
    exception when duplicate_object or unique_violation then
    end;
  end loop;
end $$;
grant usage on schema public, auth, storage to anon, authenticated, service_role;
grant all on all tables in schema storage to anon, authenticated, service_role;
grant all on all tables in schema auth to service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
`;

/** The types whose arrays a query may answer with. */
const ARRAYS =
  "bool char date float4 float8 int2 int4 int8 json jsonb name numeric oid text timestamp timestamptz uuid varchar";

// As on the real server, where nobody chooses the time of an object's last change. (It keeps no time of the last reading.)
const UPDATED_AT = `
create or replace function storage.update_updated_at_column() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end $$;
drop trigger if exists update_objects_updated_at on storage.objects;
create trigger update_objects_updated_at before update on storage.objects
  for each row when (old.last_accessed_at is not distinct from new.last_accessed_at)
  execute function storage.update_updated_at_column();
`;

const HISTORY = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
  version text primary key, statements text[], name text
);
`;

// What a PGlite needs not have: it is one session in one database. To fill 128 MB of buffers, and to copy two databases that
// new ones would be made of, are the half of its start. (The last statement leaves it no log to replay.)
const SLIM = [
  "alter system set shared_buffers = '16MB'",
  "update pg_database set datistemplate = false",
  "drop database template0",
  "drop database template1",
  "checkpoint",
];

/**
 * Opens the database and brings it up to date.
 * @param {{ databaseUrl?: string, dataDir?: string, migrations?: string, closingLimitMs?: number }} options a PostgreSQL's
 *   URL, or PGlite's folder, or neither: PGlite in memory; how long queries under way may hold up its end
 * @returns {Promise<import("@supabase/lite").Connection>}
 */
export async function openDatabase({ databaseUrl, dataDir, migrations = MIGRATIONS, closingLimitMs = 5000 }) {
  const connection = databaseUrl
    ? await openPostgres(databaseUrl, closingLimitMs)
    : await openPglite(dataDir, migrations);
  try {
    await applyMigrations(connection, migrations);
  } catch (error) {
    await connection.close();
    throw error;
  }
  // The roles are there with their rights: lite has nothing to grant.
  connection.rlsState = "active";
  keepBigints(connection);
  answerCheckViolations(connection);
  return connection;
}

/**
 * lite turns every value for a bigint column into a JavaScript number, strings too (see exact-integers.mjs),
 * but only under the type names it knows.
 */
function keepBigints(connection) {
  const introspect = connection.introspect.bind(connection);
  connection.introspect = async (options) => {
    const schema = await introspect(options);
    for (const column of schema.columns)
      if (/^(bigint|int8)$/.test(column.pg_type ?? column.type)) column.pg_type = "pg_catalog.int8";
    return schema;
  };
}

/** Runs SQL text of one or many statements, in one implicit transaction. */
export async function runScript(connection, script) {
  if (isPglite(connection)) await connection.driver.exec(script);
  else await connection.driver.unsafe(script).simple();
}

async function openPostgres(url, closingLimitMs) {
  const { createPostgresConnection } = await import("@supabase/lite/postgres");
  const connection = createPostgresConnection({
    url,
    postgresOptions: { onnotice: () => {}, types: postgresTypes },
  });
  // A connection that a query has reserved when the end begins, and gives back later, the driver waits for for ever.
  connection.close = () => connection.driver.end({ timeout: closingLimitMs / 1000 });
  try {
    await runScript(connection, "select 1");
  } catch (error) {
    await connection.close();
    throw new Error(`cannot use the PostgreSQL of DATABASE_URL: ${error.message || error.code}`);
  }
  await installSupabase(connection);
  return connection;
}

async function openPglite(dataDir, migrations) {
  const isNew = dataDir === undefined || !(await exists(path.join(dataDir, "PG_VERSION")));
  const template = isNew ? await pgliteTemplate(migrations) : undefined;
  return startPglite(dataDir, template);
}

async function startPglite(dataDir, template) {
  const { createPgliteConnection } = await import("@supabase/lite/pglite");
  const connection = await createPgliteConnection({
    url: dataDir,
    pgliteOptions: { loadDataDir: template, parsers: pgliteTypes },
  });
  await connection.driver.waitReady;
  await forgetArrays(connection.driver);
  connection.kysely = serialised(connection.driver);
  return connection;
}

/**
 * PGlite learns to read arrays of every type there is, the catalogue's own rows too, and copies all it has learnt several
 * times a query, which costs more than the query. What nobody asks for is forgotten.
 */
async function forgetArrays(pglite) {
  const { rows } = await pglite.query(
    `select typarray from pg_type where typarray <> 0 and (typtype = 'c' or
      typnamespace = 'pg_catalog'::regnamespace and not (typname = any (string_to_array($1, ' '))))`,
    [ARRAYS],
  );
  for (const { typarray } of rows) delete pglite.parsers[typarray];
}

/**
 * A new PGlite takes seconds to initialise, a copy of one a fraction: the first is kept, up to date, in
 * the user's cache, by what went into it. It holds no key and no user.
 */
async function pgliteTemplate(migrations) {
  const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "imagen-cloud");
  const file = path.join(cache, `pglite-${await templateVersion(migrations)}.tar`);
  try {
    return new Blob([await readFile(file)]);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const connection = await startPglite();
  await installSupabase(connection);
  await applyMigrations(connection, migrations);
  for (const statement of SLIM) await runScript(connection, statement);
  const template = await connection.driver.dumpDataDir("none");
  await connection.close();
  await keepTemplate(file, template);
  return template;
}

async function templateVersion(migrations) {
  const hash = createHash("sha256");
  const schemas = [getAuthSchemaSql(), SUPABASE_AUTH_HELPERS_SQL, getStorageSchemaSql()];
  const parts = [pgliteVersion(), ...schemas, ROLES, UPDATED_AT, HISTORY, ...SLIM];
  for (const migration of await listMigrations(migrations)) parts.push(migration.sql);
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 16);
}

function pgliteVersion() {
  // PGlite exports no package.json; lite pins its version.
  const lite = createRequire(import.meta.resolve("@supabase/lite"));
  const packageFile = lite.resolve("@electric-sql/pglite").replace(/dist[\\/].*$/, "package.json");
  return createRequire(import.meta.url)(packageFile).version;
}

async function keepTemplate(file, template) {
  // Renamed into place: another process sees the whole file or none. A cache that cannot be written is no error.
  const draft = `${file}.${randomUUID()}`;
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(draft, Buffer.from(await template.arrayBuffer()));
    await rename(draft, file);
  } catch {
    await rm(draft, { force: true });
  }
}

async function installSupabase(connection) {
  const app = new App({
    connection,
    auth: { enabled: true, jwt_secret: "not used to make the schemas" },
    storage: { enabled: true },
  });
  app._storageAdapter = {};
  await quietly(() => app.init());
  await runScript(connection, connection.config.baseSchema);
  await runScript(connection, ROLES);
  await runScript(connection, UPDATED_AT);
  await runScript(connection, HISTORY);
}

/** Applies what the history does not name yet, each migration as one transaction, as the Supabase CLI does. */
async function applyMigrations(connection, directory) {
  const applied = await connection.kysely
    .withSchema("supabase_migrations")
    .selectFrom("schema_migrations")
    .select("version")
    .execute();
  const known = new Set(applied.map((row) => row.version));
  for (const { version, name, sql } of await listMigrations(directory)) {
    if (known.has(version)) continue;
    const record = `insert into supabase_migrations.schema_migrations (version, name, statements)
      values ('${version}', '${name}', array[$migration$${sql}$migration$]);`;
    try {
      await runScript(connection, `${sql}\n${record}`);
    } catch (error) {
      throw new Error(`migration ${version}_${name} failed: ${error.message}`, { cause: error });
    }
  }
}

async function listMigrations(directory) {
  const migrations = [];
  for (const file of (await readdir(directory)).sort()) {
    const [, version, name] = /^(\d+)_(\w+)\.sql$/.exec(file) ?? [];
    if (version === undefined) continue;
    migrations.push({ version, name, sql: await readFile(path.join(directory, file), "utf8") });
  }
  return migrations;
}

// PostgREST answers a bigint or numeric with all its digits; a JavaScript number would lose some.
const exact = (text) => (String(Number(text)) === text ? Number(text) : JSON.rawJSON(text));
// And it writes times as ISO 8601, PostgreSQL with a space and a short zone.
const iso = (text) => text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");
const INT8 = 20;
const TIMESTAMPTZ = 1184;
const NUMERIC = 1700;
const JSON_TEXT = 114;
const JSONB = 3802;
const pgliteTypes = { [INT8]: exact, [NUMERIC]: exact, [TIMESTAMPTZ]: iso };
const postgresTypes = {
  bigint: { to: INT8, from: [INT8], serialize: String, parse: exact },
  numeric: { to: NUMERIC, from: [NUMERIC], serialize: String, parse: exact },
  timestamptz: { to: TIMESTAMPTZ, from: [TIMESTAMPTZ], serialize: String, parse: iso },
  // lite hands JSON over as text, which the driver would make a JSON string of.
  json: { to: JSON_TEXT, from: [JSON_TEXT], serialize: jsonText, parse: JSON.parse },
  jsonb: { to: JSONB, from: [JSONB], serialize: jsonText, parse: JSON.parse },
};

function jsonText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isPglite(connection) {
  return typeof connection.driver.exec === "function";
}

async function exists(file) {
  return access(file).then(
    () => true,
    () => false,
  );
}
