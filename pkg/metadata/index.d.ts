/**
 * `imagen-cloud/metadata`: what a picture's file says of itself, as the programs write it that generate pictures. It is
 * JavaScript alone, apart from the package's WebAssembly, and needs the package `exifreader` beside it.
 */

/** Which program wrote it. */
export type Generator = "A1111" | "Forge" | "SD.Next" | "InvokeAI" | "NovelAI" | "Fooocus" | "SwarmUI" | "ComfyUI";

/** What was found; what the file does not say is left out. All of it is the file's word, which anybody can write. */
export interface ImageMetadata {
  /** The program whose words these are. */
  generator?: Generator;
  /** What the picture should show. */
  prompt?: string;
  /** What it should not show. */
  negativePrompt?: string;
  /** Every digit, of up to 64 bits with a sign or without: from 2^63 on the column `seed` does not take it. */
  seed?: bigint;
  /** How many steps the sampler took. */
  steps?: number;
  /** The model's name, or its file's. */
  model?: string;
  /** The sampler's name. */
  sampler?: string;
  /** The text that all this was read from, as it stands in the file. */
  raw?: string;
  /** The program that the file's Content Credentials (C2PA) name. Their signature is not verified. */
  credentials?: string;
  /** Where it was taken, in degrees: north and east are positive. Whoever gets the file can read it. */
  place?: { latitude: number; longitude: number };
}

/**
 * Reads what a PNG, JPEG, WebP or AVIF says of itself: PNG's texts, EXIF, XMP where the host has a `DOMParser`, and C2PA. The
 * whole image is read into memory. A file that says nothing, or is broken, gives an empty object.
 * @throws TypeError where `image` is none of these
 */
export function readMetadata(image: Blob | ArrayBuffer | ArrayBufferView): Promise<ImageMetadata>;
