import { byId, show } from "../dom";
import { type Brief, type Drawing, factsOf } from "../drawing";
import { megabytes } from "../name";
import type { Painter } from "../painter";
import { type Picture, parseSeed, problemOfFile, randomSeed } from "../picture";

/** The picture and what it is made from: words and a seed, or a file. */
export class Stage {
  readonly #canvas = byId<HTMLCanvasElement>("canvas");
  readonly #preview = byId<HTMLImageElement>("file-preview");
  readonly #prompt = byId<HTMLTextAreaElement>("prompt");
  readonly #seed = byId<HTMLInputElement>("seed");
  #file: File | undefined;
  /** What the canvas shows, or is about to. */
  #brief: Brief | undefined;
  #redraw: ReturnType<typeof setTimeout> | undefined;

  /** `onChange` hears of every other picture: what was being sent is not it any more. */
  constructor(
    private readonly painter: Painter,
    private readonly onChange: () => void,
  ) {
    this.#prompt.addEventListener("input", () => this.#later());
    this.#seed.addEventListener("input", () => this.#later());
    byId("shuffle").addEventListener("click", () => {
      this.#seed.value = String(randomSeed());
      this.#draw();
    });
    byId("ideas").addEventListener("click", ({ target }) => {
      if (!(target instanceof HTMLButtonElement)) return;
      this.#prompt.value = target.textContent ?? "";
      this.#seed.value = String(randomSeed());
      this.#draw();
    });
    byId("back-to-drawing").addEventListener("click", () => {
      this.#take(undefined);
      this.#prompt.focus();
    });
    this.#listenForFiles();
  }

  open(): void {
    this.#take(undefined);
  }

  /** What is to be sent, or `undefined` when a field needs another look; it is told and focused then. */
  async picture(): Promise<Picture | undefined> {
    if (this.#prompt.value.trim() === "") {
      this.#say("Say in a few words what it shows.");
      this.#prompt.focus();
      return undefined;
    }
    if (this.#file) return { blob: this.#file, backend: "upload", prompt: this.#prompt.value.trim(), seed: 0n };
    this.#draw();
    const brief = this.#brief;
    if (!brief) {
      this.#seed.focus();
      return undefined;
    }
    const { drawing, blob } = await this.painter.png(brief);
    if (blob) return { ...brief, ...factsOf(drawing), backend: "canvas", blob };
    this.#say("This browser could not make a PNG of it. Choose a file instead.");
    return undefined;
  }

  #listenForFiles(): void {
    const input = byId<HTMLInputElement>("file");
    input.addEventListener("change", () => {
      if (input.files?.[0]) this.#take(input.files[0]);
      input.value = "";
    });
    const drop = byId("drop");
    // The whole window takes it, or a near miss would open the file instead of the page.
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("dragged-over");
    });
    window.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) drop.classList.remove("dragged-over");
    });
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("dragged-over");
      const file = event.dataTransfer?.files[0];
      if (file && !byId("studio").hidden) this.#take(file);
    });
    window.addEventListener("paste", (event) => {
      const file = event.clipboardData?.files[0];
      if (file && !byId("studio").hidden) this.#take(file);
    });
  }

  #take(file: File | undefined): void {
    const problem = file && problemOfFile(file);
    this.#say(problem ?? "");
    if (problem) return;
    this.#file = file;
    URL.revokeObjectURL(this.#preview.src);
    if (file) this.#preview.src = URL.createObjectURL(file);
    else this.#preview.removeAttribute("src");
    this.#preview.alt = file ? `The chosen file, ${file.name}` : "";
    this.#preview.hidden = !file;
    this.#canvas.hidden = file !== undefined;
    for (const id of ["seed-field", "ideas"]) show(id, !file);
    show("back-to-drawing", file !== undefined);
    byId("prompt-label").textContent = file ? "What does it show?" : "What should it show?";
    if (file) {
      this.#prompt.value = file.name.replace(/\.\w+$/, "").replace(/[-_]+/g, " ");
      byId("picture-meta").textContent = `${file.name}, ${megabytes(file.size)}`;
      this.onChange();
    } else {
      this.#brief = undefined;
      this.#draw();
    }
  }

  /** Typing draws once it pauses. */
  #later(): void {
    clearTimeout(this.#redraw);
    this.#redraw = setTimeout(() => this.#draw(), 250);
  }

  #draw(): void {
    clearTimeout(this.#redraw);
    if (this.#file) return;
    const [prompt, seed] = [this.#prompt.value.trim(), parseSeed(this.#seed.value)];
    this.#seed.setAttribute("aria-invalid", String(seed === undefined));
    this.#say(seed === undefined ? "A seed is a whole number of at most 64 bits." : "");
    if (seed === undefined) {
      this.#brief = undefined;
      return;
    }
    if (this.#brief?.prompt === prompt && this.#brief.seed === seed) return;
    const brief = { prompt, seed };
    this.#brief = brief;
    this.onChange();
    this.painter
      .show(this.#canvas, brief, () => this.#brief === brief)
      .then((drawing) => {
        if (this.#brief === brief) this.#drawn(drawing);
      })
      .catch((error: Error) => this.#say(error.message));
  }

  #drawn({ prompt, seed, layers, side, latencyMs }: Drawing): void {
    this.#canvas.setAttribute("aria-label", `Drawn from “${prompt}”, seed ${seed}`);
    byId("picture-meta").textContent = `${side} × ${side}, ${layers} layers in ${latencyMs} ms`;
  }

  #say(message: string): void {
    byId("file-message").textContent = message;
  }
}
