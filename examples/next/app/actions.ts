"use server";
import { createClient } from "@supabase/supabase-js";
import { createSink, isImagenCloudError } from "imagen-cloud";
import { requestOf } from "./request";

/**
 * Sends by this server, with the secret key. An action is an address that anybody may call: it has to look who asks. The token
 * comes in the form, since Next.js' dev server prints the other arguments of an action.
 */
export async function sendByServer(form: FormData): Promise<{ error?: string }> {
  const [url, apiKey] = [process.env.NEXT_PUBLIC_SUPABASE_URL as string, process.env.SUPABASE_SECRET_KEY as string];
  const { data } = await createClient(url, apiKey).auth.getUser(form.get("token") as string);
  if (!data.user) return { error: "sign in first" };
  const { id } = data.user;
  const sink = await createSink({ url, apiKey, ownerUserId: id, pathPrefix: id, requireImage: true });
  try {
    await sink.sync(requestOf(form));
    return {};
  } catch (error) {
    // Next.js hides what an action throws, so this tells it. The package's messages hold no keys.
    if (isImagenCloudError(error)) return { error: error.message };
    throw error;
  } finally {
    // The server lives on, and its memory is shared by all requests.
    sink.free();
  }
}
