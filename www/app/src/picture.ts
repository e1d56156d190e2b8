import { tells } from "./canvas";

/** An image that is ready to be sent, and how it came about. */
export interface Picture {
  blob: Blob;
  /** `canvas` for a drawn one, `upload` for a file. */
  backend: "canvas" | "upload";
  prompt: string;
  seed: bigint;
  model?: string;
  steps?: number;
  latencyMs?: number;
  costUsdEstimate?: number;
  sidecar?: Record<string, string | number>;
}

/** Characters that a picture's words may have. */
export const MAX_WORDS = 4000;
/** What the bucket takes. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
const TYPES = ["image/png", "image/jpeg", "image/webp", "image/avif", "image/gif"];
/** What some systems call a JPEG or an animated PNG. */
const ALIASES = ["image/apng", "image/jpg", "image/pjpeg"];

/** What phones make, and hardly any browser shows. */
const isHeic = ({ type, name }: File) => /^image\/hei[cf]/.test(type) || /\.hei[cf]$/i.test(name);

/** Why a file can't be sent, or `undefined`. */
export function problemOfFile(file: File): string | undefined {
  if (isHeic(file))
    return `${file.name} is a HEIC photo, which browsers can't show. On an iPhone choose Settings, Camera, Formats, “Most Compatible” for new ones; an old one becomes a JPEG when you copy it into Files.`;
  if (![...TYPES, ...ALIASES].includes(file.type))
    return `${file.name || "This file"} is no PNG, JPEG, WebP, AVIF or GIF image.`;
  if (file.size > MAX_FILE_BYTES) return `${file.name} is larger than ${MAX_FILE_BYTES / 1024 / 1024} MB.`;
  if (file.size === 0) return `${file.name} is empty.`;
  return undefined;
}

/** Whether the browser can show what lies there. */
export async function canShow(url: string): Promise<boolean> {
  const image = new Image();
  image.src = url;
  return image.decode().then(
    () => true,
    () => false,
  );
}

/** What a canvas writes, where it can. */
const ENCODED = ["image/jpeg", "image/png", "image/webp"];

/** Whether such a picture can be encoded anew without becoming another kind of thing. */
export const canBeEncoded = (type: string): boolean => ENCODED.includes(type);

/** The picture alone, encoded anew: what the file says of itself is gone. Throws where this browser can't. */
export async function withoutPlace(blob: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  if (!context || !tells(context)) throw new Error("This browser gives no picture back that is drawn on a canvas.");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: blob.type, quality: 0.92 });
}

/** Any int64, as typed. */
export function parseSeed(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text.trim())) return undefined;
  const seed = BigInt(text.trim());
  return BigInt.asIntN(64, seed) === seed ? seed : undefined;
}

export function randomSeed(): bigint {
  return BigInt(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % 1_000_000n;
}
