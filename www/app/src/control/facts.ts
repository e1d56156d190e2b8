import type { ImageMetadata } from "imagen-cloud/metadata";
import { canBeEncoded, type Picture, parseSeed, withoutPlace } from "../picture";
import { type FileFacts, state } from "../state";

const { facts, factsProblem } = state.stage;

/** Bytes of a file's own text that a row has room for. */
const MAX_RAW = 120_000;

/** What the file on the stage says of itself: into the form, where it can be changed. */
export class Facts {
  #visit = {};

  /** Reads it, and gives the words that the picture was made from. */
  async read(file: File): Promise<string | undefined> {
    this.clear();
    const visit = this.#visit;
    const said = await readFile(file);
    if (visit !== this.#visit) return undefined;
    facts.value = toFacts(said, file);
    return said.prompt;
  }

  clear(): void {
    this.#visit = {};
    facts.value = undefined;
    factsProblem.value = "";
  }

  write(fields: Partial<FileFacts>): void {
    if (facts.value) facts.value = { ...facts.value, ...fields };
    factsProblem.value = "";
  }

  /** Whether all fields can be sent; what is wrong is told. */
  check(): boolean {
    const { seed = "", steps = "" } = facts.value ?? {};
    if (seed.trim() !== "" && parseSeed(seed) === undefined) {
      factsProblem.value = "A seed is a whole number of at most 64 bits.";
    } else if (!/^\d{0,6}$/.test(steps.trim())) {
      factsProblem.value = "Steps are a whole number.";
    }
    return factsProblem.value === "";
  }

  /** The picture with what the form says of it. */
  async addTo(picture: Picture): Promise<Picture> {
    if (!facts.value) return picture;
    const { seed, steps, model, raw, isRawKept, isPlaceLeftOut } = facts.value;
    return {
      ...picture,
      ...(isPlaceLeftOut && { blob: await withoutPlace(picture.blob) }),
      seed: parseSeed(seed) ?? picture.seed,
      ...(steps.trim() && { steps: Number(steps) }),
      ...(model.trim() && { model: model.trim() }),
      ...(isRawKept && raw !== undefined && { sidecar: { fileText: raw } }),
    };
  }
}

/** Nothing, where the reader can't be loaded: offline for one. */
export async function readFile(file: File): Promise<ImageMetadata> {
  try {
    const { readMetadata } = await import("../metadata");
    return await readMetadata(file);
  } catch {
    return {};
  }
}

function toFacts({ generator, seed, steps, model, raw, credentials, place }: ImageMetadata, file: File): FileFacts {
  const fits = seed !== undefined && BigInt.asIntN(64, seed) === seed;
  return {
    by: generator ?? credentials,
    seed: fits ? String(seed) : "",
    isSeedTooLarge: seed !== undefined && !fits,
    steps: steps === undefined ? "" : String(steps),
    model: model?.slice(0, 255) ?? "",
    raw: new Blob([JSON.stringify(raw ?? "")]).size <= MAX_RAW ? raw : undefined,
    isRawKept: false,
    hasPlace: place !== undefined,
    canLeavePlaceOut: canBeEncoded(file.type),
    isPlaceLeftOut: false,
  };
}
