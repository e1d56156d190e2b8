-- What was left alone: objects that no row names, and rows whose object is missing. It only tells of them, and whom it
-- concerns is the service; objects are removed by Storage's API, never by SQL, which would leave their bytes behind.
--
-- It may run twice, as every change of the database after the first.

-- An upload is an object without a row until its row comes, from an outbox after days: `older_than` is longer than that.
-- A thumbnail, `p.thumb`, belongs to the image `p`. Tickets' uploads, in `.incoming/`, have an end of their own.
create or replace function imagen.orphaned_objects(older_than interval)
  returns table (kind text, storage_path text, image_id uuid, changed_at timestamptz)
  language sql
  stable
  set search_path = ''
as $$
  select 'object', o.name, null::uuid, greatest(o.created_at, o.updated_at)
  from storage.objects o
  where o.bucket_id = 'imagen-generated'
    and greatest(o.created_at, o.updated_at) < now() - older_than
    and o.name not like '.incoming/%'
    and not exists (select 1 from imagen.images i where i.storage_path = o.name)
    and not exists (
      select 1 from imagen.images i
      where o.name like '%.thumb' and i.storage_path = left(o.name, -length('.thumb'))
    )
  union all
  select 'row', i.storage_path, i.id, i.created_at
  from imagen.images i
  where i.created_at < now() - older_than
    and not exists (
      select 1 from storage.objects o where o.bucket_id = 'imagen-generated' and o.name = i.storage_path
    )
$$;

comment on function imagen.orphaned_objects(interval) is
  'Objects without a row (kind object) and rows without an object (kind row) that were last changed longer ago than that.';

revoke all on function imagen.orphaned_objects(interval) from public;
grant execute on function imagen.orphaned_objects(interval) to service_role;

-- PostgREST knows functions by its cache.
notify pgrst, 'reload schema';
