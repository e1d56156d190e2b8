-- Tells pages of new and removed rows by Supabase Realtime. Nobody needs it: run it where you want it, as often as you like.
--
-- Mind: inserts and updates reach only those whom a policy lets read the row, but of a removed row Realtime tells the id to
-- everybody who subscribes to the table, since there is no row left to ask the policy about.
-- https://supabase.com/docs/guides/realtime/postgres-changes

do $$
begin
  if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime')
    and not exists (
      select from pg_catalog.pg_publication_tables
      where pubname = 'supabase_realtime' and schemaname = 'imagen' and tablename = 'images'
    )
  then
    alter publication supabase_realtime add table imagen.images;
  end if;
end $$;
