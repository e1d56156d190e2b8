import { createClient } from "@supabase/supabase-js";
import { json } from "@sveltejs/kit";
import { createSink, isImagenCloudError } from "imagen-cloud";
import { SUPABASE_SECRET_KEY as apiKey } from "$app/env/private";
import { SUPABASE_URL as url } from "$app/env/public";
import type { RequestHandler } from "./$types";

/** Sends by this server, with the secret key. Anybody may ask: it has to look who does. */
export const POST: RequestHandler = async ({ request, url: { searchParams } }) => {
  const token = request.headers.get("authorization")?.replace("Bearer ", "");
  const { user } = (await createClient(url, apiKey).auth.getUser(token)).data;
  if (!user) return json({ error: "sign in first" }, { status: 401 });
  const sink = await createSink({ url, apiKey, ownerUserId: user.id, pathPrefix: user.id, requireImage: true });
  try {
    const [image, prompt] = [await request.blob(), searchParams.get("prompt") ?? ""];
    return json(await sink.sync({ image, prompt, seed: 0, backend: "upload" }), { status: 201 });
  } catch (error) {
    // The package's messages hold no keys.
    if (isImagenCloudError(error)) return json({ error: error.message }, { status: 400 });
    throw error;
  } finally {
    // The server lives on, and its memory is shared by all requests.
    sink.free();
  }
};
