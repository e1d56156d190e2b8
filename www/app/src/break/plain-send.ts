import type { SupabaseClient } from "@supabase/supabase-js";

/** One picture, the way it is mostly written: upload, then insert. */
export async function send(supabase: SupabaseClient, { blob, folder, row }: PlainPicture) {
  const path = `${folder}/${Date.now()}.png`;

  const stored = await supabase.storage.from("imagen-generated").upload(path, blob);
  if (stored.error) throw stored.error;

  const inserted = await supabase
    .schema("imagen")
    .from("images")
    .insert({ ...row, prompt_hash: await sha256(row.prompt), storage_path: path });
  if (inserted.error) throw inserted.error;
}

/** After an error, somebody presses Send once more. */
export async function sendAndTryOnce(supabase: SupabaseClient, picture: PlainPicture) {
  try {
    await send(supabase, picture);
  } catch {
    await send(supabase, picture).catch(() => {});
  }
}

export interface PlainPicture {
  blob: Blob;
  folder: string;
  row: { owner_user_id: string; prompt: string; backend: string };
}

async function sha256(text: string) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
