import type { Route } from "./routes";
import type { Session } from "./session";

export interface GalleryItem {
  id: string;
  prompt: string;
  storagePath: string;
  backend: string;
  createdAt: string;
  /** Missing when the object is gone. */
  url: string | undefined;
}

/** The user's newest images; row-level security leaves out everybody else's. */
export async function newestImages(session: Session, route: Route, limit = 12): Promise<GalleryItem[]> {
  const { data, error } = await session.client
    .schema("imagen")
    .from("images")
    .select("id, prompt, storage_path, backend, created_at")
    .order("created_at", { ascending: false })
    .order("id")
    .limit(limit);
  if (error) throw new Error(error.message);
  return Promise.all(
    data.map(async (row) => ({
      id: row.id,
      prompt: row.prompt,
      storagePath: row.storage_path,
      backend: row.backend,
      createdAt: row.created_at,
      url: await route.signedUrl(row.storage_path).catch(() => undefined),
    })),
  );
}
