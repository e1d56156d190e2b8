import { createSink, type ImagenCloudError, isImagenCloudError, type Sink } from "imagen-cloud";

export interface Env {
  SUPABASE_URL: string;
  SUPABASE_SECRET_KEY: string;
}

const CORS = {
  // Name your page's origin here, or any page may ask its visitors' browsers to send images.
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "authorization, content-type",
  "access-control-allow-methods": "GET, POST, DELETE",
};

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: CORS });
    const url = new URL(request.url);
    const [, folder, imageId] = url.pathname.split("/");
    if (folder !== "images") return answer(404, { error: "there is /images alone" });
    const userId = await userOf(request, env);
    if (!userId) return answer(401, { error: "sign in first" });
    // The secret key passes every policy. A sink with an owner sends, lists and removes that user's images alone.
    const [project, apiKey] = [env.SUPABASE_URL, env.SUPABASE_SECRET_KEY];
    const sink = await createSink({
      url: project,
      apiKey,
      ownerUserId: userId,
      pathPrefix: userId,
      requireImage: true,
    });
    try {
      if (request.method === "GET") return answer(200, await list(sink, url.searchParams.get("before")));
      if (request.method === "DELETE" && imageId) return answer(200, await sink.remove({ imageId }));
      if (request.method !== "POST") return answer(405, { error: "GET, POST, or DELETE with an id" });
      return answer(201, await send(sink, url.searchParams.get("prompt") ?? "", await request.arrayBuffer()));
    } catch (error) {
      if (!isImagenCloudError(error)) throw error;
      return refusal(error);
    } finally {
      // An isolate lives on, and its memory is shared by all requests.
      sink.free();
    }
  },
};

async function send(sink: Sink, prompt: string, image: ArrayBuffer): Promise<object> {
  const { imageId, signedUrl } = await sink.sync({ image, prompt, seed: 0, backend: "upload" }, { signedUrl: 3600 });
  return { imageId, url: signedUrl };
}

/** The newest images with their links; `before` of one page asks for the next. */
async function list(sink: Sink, before: string | null): Promise<object> {
  const page = await sink.list({ before });
  // Not the image as it is: its seed is a bigint, which JSON does not take.
  const images = page.images.map(({ imageId, prompt, signedUrl }) => ({ imageId, prompt, url: signedUrl }));
  return { images, before: page.before };
}

/** What the caller can mend is theirs to hear; all else may name what only you should know. */
function refusal(error: ImagenCloudError): Response {
  console.error(error.message);
  const isTheirs = error.stage === "request" || error.code === "too_large";
  const status = isTheirs ? 400 : error.code === "forbidden" ? 403 : 502;
  return answer(status, { error: isTheirs ? error.message : error.code });
}

/** The secret key passes every policy, so the Worker asks Supabase whose token this is. */
async function userOf(request: Request, env: Env): Promise<string | undefined> {
  const authorization = request.headers.get("authorization");
  if (!authorization) return undefined;
  const headers = { authorization, apikey: env.SUPABASE_SECRET_KEY };
  // A redirect would take the key along to wherever it points.
  const response = await fetch(`${env.SUPABASE_URL}/auth/v1/user`, { headers, redirect: "manual" });
  return response.ok ? ((await response.json()) as { id: string }).id : undefined;
}

function answer(status: number, body: object): Response {
  return Response.json(body, { status, headers: CORS });
}
