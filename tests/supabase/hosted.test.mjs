// The migration on a database laid out as a hosted project's is: Storage and Auth belong to roles of their
// own, migrations run as one that is no superuser.
//
// On a hosted project that role may create policies on storage.objects by an extension's leave, which plain
// PostgreSQL gives to an owner only. Here it is made a member of the owner, and an event trigger takes back all
// that the extension does not allow: what is left is what a hosted project grants.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { getAuthSchemaSql, getStorageSchemaSql, SUPABASE_AUTH_HELPERS_SQL } from "@supabase/lite";
import postgres from "postgres";
import { startPostgres } from "../support/postgres.mjs";

const MIGRATION = await readFile(
  new URL("../../supabase/migrations/20260511000000_imagen_schema_init.sql", import.meta.url),
  "utf8",
);

const HOSTED = `
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role supabase_storage_admin nologin noinherit;
create role supabase_auth_admin nologin noinherit;
create role migrator login createrole createdb bypassrls nosuperuser;

grant create on database postgres to supabase_storage_admin, supabase_auth_admin, migrator;
set role supabase_auth_admin;
${getAuthSchemaSql()}
${SUPABASE_AUTH_HELPERS_SQL}
grant usage on schema auth to anon, authenticated, service_role, migrator;
grant all on all tables in schema auth to migrator;
set role supabase_storage_admin;
${getStorageSchemaSql()}
grant usage on schema storage to anon, authenticated, service_role, migrator;
grant all on all tables in schema storage to anon, authenticated, service_role, migrator;
reset role;

grant supabase_storage_admin to migrator;
create function refuse_on_storage() returns event_trigger language plpgsql as $$
declare command record;
begin
  for command in select * from pg_event_trigger_ddl_commands() loop
    if command.object_identity ~ '\\mstorage\\.' and command.command_tag <> 'CREATE POLICY' then
      raise insufficient_privilege using message = format('%s on %s', command.command_tag, command.object_identity);
    end if;
  end loop;
end $$;
create event trigger only_policies_on_storage on ddl_command_end execute function refuse_on_storage();
`;

describe("the migration on a hosted project", () => {
  let server;
  let admin;
  let migrator;

  before(async () => {
    server = await startPostgres();
    admin = postgres(server.url, { max: 1, onnotice: () => {} });
    await admin.unsafe(HOSTED).simple();
    migrator = postgres(server.url.replace("postgres@", "migrator@"), { max: 1, onnotice: () => {} });
    await migrator.unsafe(MIGRATION).simple();
  });
  after(async () => {
    await migrator?.end();
    await admin?.end();
    await server?.close();
  });

  test("runs as a role that is no superuser and owns neither storage nor auth", async () => {
    const [role] = await migrator`select rolsuper from pg_roles where rolname = current_user`;
    assert.equal(role.rolsuper, false);
    const owned = await admin`
      select count(*)::int from pg_class join pg_namespace n on n.oid = relnamespace
      where nspname in ('storage', 'auth') and pg_get_userbyid(relowner) = 'migrator'`;
    assert.equal(owned[0].count, 0);
  });

  for (const statement of [
    "alter table storage.objects add column extra text",
    "create index on storage.objects (owner)",
    "create trigger t before insert on storage.objects for each row execute function suppress_redundant_updates_trigger()",
    "alter table storage.buckets disable row level security",
  ]) {
    test(`is tried where this would be refused: ${statement.split(" ").slice(0, 4).join(" ")}`, async () => {
      await assert.rejects(migrator.unsafe(statement), { code: "42501" });
    });
  }

  test("leaves the table with its role, policies on for whoever is not that role", async () => {
    const [table] = await admin`
      select pg_get_userbyid(relowner) as owner, relrowsecurity from pg_class where oid = 'imagen.images'::regclass`;
    assert.deepEqual(table, { owner: "migrator", relrowsecurity: true });
  });

  test("gives anon nothing, and authenticated no update", async () => {
    const [rights] = await admin`
      select has_schema_privilege('anon', 'imagen', 'usage') as anon_usage,
        has_table_privilege('anon', 'imagen.images', 'select, insert, update, delete') as anon_table,
        has_table_privilege('authenticated', 'imagen.images', 'select') as reads,
        has_table_privilege('authenticated', 'imagen.images', 'insert') as inserts,
        has_table_privilege('authenticated', 'imagen.images', 'delete') as deletes,
        has_table_privilege('authenticated', 'imagen.images', 'update, truncate, references, trigger') as more,
        has_table_privilege('service_role', 'imagen.images', 'update') as service`;
    assert.deepEqual(rights, {
      anon_usage: false,
      anon_table: false,
      reads: true,
      inserts: true,
      deletes: true,
      more: false,
      service: true,
    });
  });

  test("makes policies for authenticated alone", async () => {
    const policies = await admin`select schemaname, roles::text[] from pg_policies`;
    assert.equal(policies.length, 7);
    for (const { roles } of policies) assert.deepEqual(roles, ["authenticated"]);
  });
});

test("on storage.* the migration only writes the bucket's row and creates policies", () => {
  const statements = MIGRATION.replace(/--.*$/gm, "")
    .split(";")
    .map((statement) => statement.trim().replace(/\s+/g, " "));
  const onStorage = statements.filter((statement) => /\bstorage\./.test(statement));
  assert.equal(onStorage.length, 5);
  for (const statement of onStorage) {
    assert.match(statement, /^(insert into storage\.buckets|create policy "imagen: [^"]+" on storage\.objects) /);
  }
});

test("the migration leaves PostgREST's settings alone", () => {
  assert.doesNotMatch(MIGRATION, /pgrst|alter role|notify/i);
});
