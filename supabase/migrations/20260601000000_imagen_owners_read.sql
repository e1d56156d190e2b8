-- Owners read what a server wrote for them, under a path without their folder: rows by owner_user_id alone, objects also
-- when a row of their own names them. Writing and removing stay as they were: such a row can be made by the service only,
-- as a user's own rows name objects of their own folder.
--
-- It may run twice, as every change of the database after the first.

drop policy if exists "users read their own images" on imagen.images;

create policy "users read their own images" on imagen.images
  for select to authenticated
  using (owner_user_id = (select auth.uid()));

drop policy if exists "imagen: users read what their own rows name" on storage.objects;

-- `objects.name` is the object's: a bare `name` would be the row's, if that ever got one.
create policy "imagen: users read what their own rows name" on storage.objects
  for select to authenticated
  using (
    bucket_id = 'imagen-generated'
    and exists (
      select 1 from imagen.images i
      where i.storage_path = objects.name and i.owner_user_id = (select auth.uid())
    )
  );
