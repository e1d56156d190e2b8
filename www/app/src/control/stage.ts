import { type Draft, emptyDraft, keepDraft, keptDraft } from "../draft";
import { type Brief, factsOf } from "../drawing";
import { focusOn } from "../focus";
import { wordsOf } from "../name";
import type { Painter } from "../painter";
import { canShow, MAX_WORDS, type Picture, parseSeed, randomSeed } from "../picture";
import { isDrawing, state } from "../state";
import { type Batch, sortFiles } from "./batch";
import type { Facts } from "./facts";

const { prompt, seed, chosen, batch, skipped, drawing, isDraggedOver, promptProblem, seedProblem, fileProblem } =
  state.stage;

/** How long typing pauses before it is drawn, in ms. */
const PAUSE_MS = 250;

/** The picture and what it is made from: words and a seed, or a file. Of several files each is a picture. */
export class Stage {
  #canvas: HTMLCanvasElement | undefined;
  /** Words and seed of the drawing, also while a file is on the stage. */
  #draft: Draft = emptyDraft();
  #owner = "";
  /** Whether the words on the stage were written by hand and not sent yet. */
  #isWritten = false;
  /** What the file on the stage says of itself has been read. */
  #isRead: Promise<void> = Promise.resolve();
  /** Whether the browser can show the file on the stage. */
  #isShown: Promise<boolean> = Promise.resolve(true);
  /** What the canvas shows, or is about to. */
  #brief: Brief | undefined;
  #redraw: ReturnType<typeof setTimeout> | undefined;

  /** `onChange` hears of every other picture: what was being sent is not it any more. */
  constructor(
    private readonly painter: Painter,
    private readonly files: Batch,
    private readonly facts: Facts,
    private readonly onChange: () => void,
  ) {
    files.onEmpty = (problem) => {
      const all = [...skipped.value];
      this.backToDrawing();
      fileProblem.value = problem && all.join(" ");
    };
    this.#listenForFiles();
  }

  /** For this user, who may have left words unsent. */
  open(owner: string): void {
    this.#owner = owner;
    this.#draft = keptDraft(owner);
    this.#putDraft();
  }

  /** Nobody else is to find what this user wrote or chose. */
  close(): void {
    this.#put(undefined);
    this.#draft = emptyDraft();
    this.#putDraft();
    drawing.value = undefined;
    keepDraft(undefined);
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
    this.#isWritten = true;
    this.#keep();
    this.#later();
  }

  plant(digits: string): void {
    seed.value = digits;
    this.#keep();
    this.#later();
  }

  shuffle(): void {
    seed.value = String(randomSeed());
    this.#keep();
    this.#draw();
  }

  useIdea(words: string): void {
    this.#isWritten = false;
    prompt.value = words;
    promptProblem.value = "";
    this.shuffle();
  }

  /** Draws a picture's words once more, by its seed where it has one. */
  useAgain(words: string, digits: string | undefined): void {
    this.#put(undefined);
    prompt.value = words;
    if (digits !== undefined) seed.value = digits;
    this.#isWritten = false;
    this.#keep();
    this.#draw();
    focusOn("prompt");
  }

  /** What is on the stage has been sent. */
  sent(): void {
    this.#isWritten = false;
    this.#keep();
  }

  /** Takes all that can be sent, and says why the others can't. */
  take(files: readonly File[]): void {
    const { usable, problems } = sortFiles(files);
    const [only, second] = usable;
    if (second || batch.value.length > 0) this.#takeMany(usable, problems);
    else {
      fileProblem.value = problems.join(" ");
      if (only) this.#takeOne(only);
    }
  }

  backToDrawing(): void {
    fileProblem.value = "";
    this.#put(undefined);
    this.#putDraft();
    focusOn("prompt");
  }

  /** Puts a file on the stage. Words that were written for it stay. */
  #takeOne(file: File): void {
    this.#put(file);
    if (!this.#isWritten) prompt.value = wordsOf(file);
    this.#isShown = this.#check(file);
    this.#isRead = this.#read(file);
    this.onChange();
  }

  /** Its own words come in the place of its name, and not of what somebody wrote. */
  async #read(file: File): Promise<void> {
    const words = await this.facts.read(file);
    if (words && chosen.value?.file === file && !this.#isWritten) prompt.value = words.slice(0, MAX_WORDS);
  }

  #takeMany(files: readonly File[], problems: readonly string[]): void {
    if (chosen.value) this.#put(undefined);
    fileProblem.value = "";
    this.files.take(files);
    skipped.value = [...skipped.value, ...problems];
    this.onChange();
  }

  /** What is to be sent, or `undefined` when a field needs another look; it is told and focused then. */
  async picture(): Promise<Picture | undefined> {
    const file = chosen.value?.file;
    // One that can't be shown is told of where that is found out.
    if (file && !(await this.#isUsable())) return undefined;
    if (file && chosen.value?.file !== file) {
      fileProblem.value = `${file.name} was not sent: something else came in its place while it was being read.`;
      return undefined;
    }
    const words = prompt.value.trim();
    if (words === "") {
      promptProblem.value = "Say in a few words what it shows.";
      focusOn("prompt");
      return undefined;
    }
    if (file) return this.#filePicture(file, words);
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

  /** Whether the file on the stage now can be shown, once it has been read. */
  async #isUsable(): Promise<boolean> {
    const [isShown] = await Promise.all([this.#isShown, this.#isRead]);
    return isShown;
  }

  async #filePicture(file: File, words: string): Promise<Picture | undefined> {
    if (!this.facts.check()) {
      focusOn("facts-seed");
      return undefined;
    }
    try {
      return await this.facts.addTo({ blob: file, backend: "upload", prompt: words, seed: 0n });
    } catch {
      fileProblem.value = `${file.name} can't be encoded anew by this browser. Send it with its place, or choose another file.`;
      return undefined;
    }
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
    addEventListener("paste", (event) => {
      if (!isOfWords(event)) this.#takeFrom(event.clipboardData);
    });
  }

  #takeFrom(data: DataTransfer | null): void {
    const files = [...(data?.files ?? [])];
    if (files.length > 0 && state.account.value) this.take(files);
  }

  /** A file in the place of what was there; none for a drawing. */
  #put(file: File | undefined): void {
    this.files.clear();
    this.facts.clear();
    if (chosen.value) URL.revokeObjectURL(chosen.value.url);
    chosen.value = file && { file, url: URL.createObjectURL(file) };
  }

  /** A file that is no image, or a broken one, leaves the stage again. */
  async #check(file: File): Promise<boolean> {
    const isShown = await canShow(chosen.value?.url ?? "");
    if (!isShown && chosen.value?.file === file) {
      this.backToDrawing();
      fileProblem.value = `${file.name} isn't a usable image: this browser can't show it. Open it in an editor and save it anew.`;
    }
    return isShown;
  }

  /** Only a drawing's words and seed: a file's own end with it. */
  #keep(): void {
    if (!isDrawing.value) return;
    this.#draft = { prompt: prompt.value, seed: seed.value, isWritten: this.#isWritten };
    keepDraft({ ...this.#draft, owner: this.#owner });
  }

  #putDraft(): void {
    prompt.value = this.#draft.prompt;
    seed.value = this.#draft.seed;
    this.#isWritten = this.#draft.isWritten;
    promptProblem.value = "";
    this.#brief = undefined;
    this.#draw();
  }

  #later(): void {
    clearTimeout(this.#redraw);
    this.#redraw = setTimeout(() => this.#draw(), PAUSE_MS);
  }

  #draw(): void {
    clearTimeout(this.#redraw);
    if (!isDrawing.value) return;
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

/** Words for a field: office programs copy a picture of them as well. */
function isOfWords({ target, clipboardData }: ClipboardEvent): boolean {
  const isField = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  return isField && clipboardData?.types.includes("text/plain") === true;
}
