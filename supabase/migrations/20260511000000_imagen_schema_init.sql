-- The generated images of imagen-cloud: one row an image in imagen.images, its bytes in the private
-- Storage bucket imagen-generated. A user reaches only what is their own: rows by owner_user_id and
-- the first folder of storage_path, objects by their first folder, both equal to auth.uid().
--
-- It runs unchanged on a hosted project, where migrations run as a role that owns neither storage.*
-- nor auth.*: on storage.* it only writes the bucket's row and creates policies. `imagen` must also
-- be listed under the project's exposed schemas (Settings, API), which no migration can do.
--
-- It runs once and as a whole: a second run stops at the table that exists already and changes nothing.

create schema if not exists imagen;

comment on schema imagen is 'Images made by imagen-cloud.';

create table imagen.images (
  id uuid primary key default gen_random_uuid(),
  -- A wrong owner is refused here by name (23503) instead of making a row that nobody can ever read.
  owner_user_id uuid not null
    constraint images_owner_user_id_is_a_user references auth.users (id) on delete cascade,
  prompt text not null,
  prompt_hash text not null
    constraint images_prompt_hash_is_sha256_hex check (prompt_hash ~ '^[0-9a-f]{64}$'),
  backend text not null,
  model text,
  seed bigint,
  steps integer constraint images_steps_not_negative check (steps >= 0),
  width integer constraint images_width_positive check (width > 0),
  height integer constraint images_height_positive check (height > 0),
  latency_ms integer constraint images_latency_ms_not_negative check (latency_ms >= 0),
  cost_usd_estimate numeric constraint images_cost_not_negative check (cost_usd_estimate >= 0),
  sidecar jsonb,
  -- The object's name in the bucket: no empty, `.` or `..` segment, so no slash at either end, and no
  -- longer than an object's name can be in S3, which hosted Storage keeps its objects in.
  storage_path text not null
    constraint images_storage_path_names_one_object check (
      storage_path !~ '(^|/)[.]{0,2}(/|$)' and octet_length(storage_path) <= 1024
    ),
  created_at timestamptz not null default now()
);

comment on table imagen.images is
  'One row a generated image; the bytes are the object storage_path in the bucket imagen-generated.';
comment on column imagen.images.prompt_hash is 'SHA-256 of the prompt''s UTF-8 bytes, in lower-case hex.';
comment on column imagen.images.storage_path is
  'The object''s name in the bucket. Not unique: making the same image again writes the same object and another row.';

-- "My newest images", page by page: the id makes the order total where created_at is the same.
create index images_owner_newest on imagen.images (owner_user_id, created_at desc, id);
create index images_storage_path on imagen.images (storage_path);

-- Rows are a record of what was made: a user may add and remove their own, not rewrite them.
revoke all on schema imagen from public;
grant usage on schema imagen to authenticated, service_role;
grant select, insert, delete on imagen.images to authenticated;
grant all on imagen.images to service_role;

alter table imagen.images enable row level security;

-- `(select auth.uid())` is evaluated once a statement instead of once a row.
create policy "users read their own images" on imagen.images
  for select to authenticated
  using (
    owner_user_id = (select auth.uid())
    and split_part(storage_path, '/', 1) = (select auth.uid())::text
  );

create policy "users add their own images" on imagen.images
  for insert to authenticated
  with check (
    owner_user_id = (select auth.uid())
    and split_part(storage_path, '/', 1) = (select auth.uid())::text
  );

create policy "users remove their own images" on imagen.images
  for delete to authenticated
  using (
    owner_user_id = (select auth.uid())
    and split_part(storage_path, '/', 1) = (select auth.uid())::text
  );

-- 100 MiB is far above any image a model makes and small enough that nobody uses the bucket as a disk.
-- A project's global limit (50 MB on the free plan) holds as well, whichever is lower.
insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values (
  'imagen-generated',
  'imagen-generated',
  false,
  104857600,
  array['image/png', 'image/jpeg', 'image/webp', 'image/avif', 'image/gif']
)
on conflict (id) do update set
  public = excluded.public,
  file_size_limit = excluded.file_size_limit,
  allowed_mime_types = excluded.allowed_mime_types;

-- Storage asks for INSERT and SELECT on a new object, also for UPDATE to overwrite one.
create policy "imagen: users read their own folder" on storage.objects
  for select to authenticated
  using (
    bucket_id = 'imagen-generated'
    and (storage.foldername(name))[1] = (select auth.uid())::text
  );

create policy "imagen: users add to their own folder" on storage.objects
  for insert to authenticated
  with check (
    bucket_id = 'imagen-generated'
    and (storage.foldername(name))[1] = (select auth.uid())::text
  );

create policy "imagen: users overwrite in their own folder" on storage.objects
  for update to authenticated
  using (
    bucket_id = 'imagen-generated'
    and (storage.foldername(name))[1] = (select auth.uid())::text
  )
  with check (
    bucket_id = 'imagen-generated'
    and (storage.foldername(name))[1] = (select auth.uid())::text
  );

create policy "imagen: users remove from their own folder" on storage.objects
  for delete to authenticated
  using (
    bucket_id = 'imagen-generated'
    and (storage.foldername(name))[1] = (select auth.uid())::text
  );
