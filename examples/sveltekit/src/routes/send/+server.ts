import { createClient } from "@supabase/supabase-js";
import { json } from "@sveltejs/kit";
import { createSink, isImagenCloudError } from "imagen-cloud";
import { SUPABASE_SECRET_KEY as apiKey } from "$app/env/private";
import { SUPABASE_URL as url } from "$app/env/public";
import { requestOf } from "../../request";
import type { RequestHandler } from "./$types";

/** Sends by this server, with the secret key. Anybody may ask: it has to look who does. */
export const POST: RequestHandler = async ({ request, url: { searchParams } }) => {
  const token = request.headers.get("authorization")?.replace("Bearer ", "");
  const { data } = await createClient(url, apiKey).auth.getUser(token);
  if (!data.user) return json({ error: "sign in first" }, { status: 401 });
  const { id } = data.user;
  try {
    const sink = await createSink({ url, apiKey, ownerUserId: id, pathPrefix: id, requireImage: true });
    return json(await sink.sync(requestOf(await request.blob(), searchParams.get("prompt") ?? "")), { status: 201 });
  } catch (error) {
    // The package's messages hold no keys.
    if (isImagenCloudError(error)) return json({ error: error.message }, { status: 400 });
    throw error;
  }
};
