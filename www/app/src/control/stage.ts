import { type Brief, factsOf } from "../drawing";
import { focusOn } from "../focus";
import type { Painter } from "../painter";
import { type Picture, parseSeed, problemOfFile, randomSeed } from "../picture";
import { state } from "../state";

const { prompt, seed, chosen, drawing, isDraggedOver, promptProblem, seedProblem, fileProblem } = state.stage;

/** How long typing pauses before it is drawn, in ms. */
const PAUSE_MS = 250;

/** The picture and what it is made from: words and a seed, or a file. */
export class Stage {
  #canvas: HTMLCanvasElement | undefined;
  /** What the canvas shows, or is about to. */
  #brief: Brief | undefined;
  #redraw: ReturnType<typeof setTimeout> | undefined;

  /** `onChange` hears of every other picture: what was being sent is not it any more. */
  constructor(
    private readonly painter: Painter,
    private readonly onChange: () => void,
  ) {
    prompt.value = "a lighthouse at dusk";
    seed.value = "42";
    this.#listenForFiles();
  }

  /** Draws on this canvas from now on; on none, while there is none. */
  drawOn(canvas: HTMLCanvasElement | undefined): void {
    this.#canvas = canvas;
    this.#brief = undefined;
    if (canvas) this.#draw();
  }

  /** Typing draws once it pauses. */
  write(words: string): void {
    prompt.value = words;
    promptProblem.value = "";
    this.#later();
  }

  plant(digits: string): void {
    seed.value = digits;
    this.#later();
  }

  shuffle(): void {
    seed.value = String(randomSeed());
    this.#draw();
  }

  useIdea(words: string): void {
    prompt.value = words;
    promptProblem.value = "";
    this.shuffle();
  }

  /** Puts a file on the stage, unless it can't be sent. */
  take(file: File): void {
    fileProblem.value = problemOfFile(file) ?? "";
    if (fileProblem.value !== "") return;
    this.#put(file);
    prompt.value = file.name.replace(/\.\w+$/, "").replace(/[-_]+/g, " ");
    this.onChange();
  }

  backToDrawing(): void {
    this.clear();
    focusOn("prompt");
  }

  /** As it is without a file. */
  clear(): void {
    fileProblem.value = "";
    this.#put(undefined);
    this.#brief = undefined;
    this.#draw();
  }

  /** What is to be sent, or `undefined` when a field needs another look; it is told and focused then. */
  async picture(): Promise<Picture | undefined> {
    const words = prompt.value.trim();
    if (words === "") {
      promptProblem.value = "Say in a few words what it shows.";
      focusOn("prompt");
      return undefined;
    }
    if (chosen.value) return { blob: chosen.value.file, backend: "upload", prompt: words, seed: 0n };
    this.#draw();
    const brief = this.#brief;
    if (!brief) {
      focusOn("seed");
      return undefined;
    }
    const made = await this.painter.png(brief);
    if (made.blob) return { ...brief, ...factsOf(made.drawing), backend: "canvas", blob: made.blob };
    fileProblem.value = "This browser could not make a PNG of it. Choose a file instead.";
    return undefined;
  }

  #listenForFiles(): void {
    // The whole window takes it, or a near miss would open the file instead of the page.
    addEventListener("dragover", (event) => {
      event.preventDefault();
      isDraggedOver.value = true;
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) isDraggedOver.value = false;
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      isDraggedOver.value = false;
      this.#takeFrom(event.dataTransfer);
    });
    addEventListener("paste", (event) => this.#takeFrom(event.clipboardData));
  }

  #takeFrom(data: DataTransfer | null): void {
    const file = data?.files[0];
    if (file && state.account.value) this.take(file);
  }

  #put(file: File | undefined): void {
    if (chosen.value) URL.revokeObjectURL(chosen.value.url);
    chosen.value = file && { file, url: URL.createObjectURL(file) };
  }

  #later(): void {
    clearTimeout(this.#redraw);
    this.#redraw = setTimeout(() => this.#draw(), PAUSE_MS);
  }

  #draw(): void {
    clearTimeout(this.#redraw);
    if (chosen.value) return;
    const next = parseSeed(seed.value);
    seedProblem.value = next === undefined ? "A seed is a whole number of at most 64 bits." : "";
    if (next === undefined) {
      this.#brief = undefined;
      return;
    }
    const brief = { prompt: prompt.value.trim(), seed: next };
    if (this.#brief?.prompt === brief.prompt && this.#brief.seed === brief.seed) return;
    this.#brief = brief;
    this.onChange();
    if (this.#canvas) this.#show(this.#canvas, brief);
  }

  async #show(canvas: HTMLCanvasElement, brief: Brief): Promise<void> {
    const isWanted = () => this.#brief === brief;
    try {
      const drawn = await this.painter.show(canvas, brief, isWanted);
      if (isWanted()) drawing.value = drawn;
    } catch (error) {
      fileProblem.value = (error as Error).message;
    }
  }
}
