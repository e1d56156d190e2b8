import type { SyncRequest } from "imagen-cloud";

/** What was chosen, as a request. Whoever has images made by a model names the model and its seed here. */
export function requestOf(image: Blob, prompt: string): SyncRequest {
  return { image, prompt, seed: 0, backend: "upload" };
}
