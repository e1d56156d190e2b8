-- The small picture beside an image lies under the image's path with `.thumb` behind it: who may read an image because a row
-- of theirs names it may read that, too. Nothing else changes.
--
-- It may run twice, as every change of the database after the first.

drop policy if exists "imagen: users read what their own rows name" on storage.objects;

create policy "imagen: users read what their own rows name" on storage.objects
  for select to authenticated
  using (
    bucket_id = 'imagen-generated'
    and exists (
      select 1 from imagen.images i
      where i.storage_path in (objects.name, regexp_replace(objects.name, '\.thumb$', ''))
        and i.owner_user_id = (select auth.uid())
    )
  );
