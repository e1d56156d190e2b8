// The large image of these tests: a PNG's head and a pattern that shows a piece in the wrong place.
import { readFile } from "node:fs/promises";

export const SIZE = 100_000_000;
/** Large enough for a few pieces, where 100 MB would show no more. */
export const SOME_PIECES = 30_000_000;
export const CHUNK = 6 * 1024 * 1024;

export const image = new Uint8Array(SIZE);
for (let index = 0; index < SIZE; index += 4096) image[index] = (index / 4096) % 251;
image.set(await readFile(new URL("../data/lighthouse.png", import.meta.url)));
