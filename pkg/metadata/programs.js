// One reader a program: of a file's texts to what it knows of the picture, or nothing where the program didn't write them.
import { readComfyUi } from "./comfyui.js";
import { objectOf, parseExact, textOf, told } from "./values.js";

/** The more particular ones come first: several programs write `parameters`. */
export const readers = [readInvokeAi, readNovelAi, readSwarmUi, readFooocus, readInfotext, readComfyUi];

function readInvokeAi(texts) {
  const raw = texts.get("invokeai_metadata");
  if (raw) return invokeAi(parseExact(raw), raw);
  const old = texts.get("sd-metadata");
  if (!old) return undefined;
  const { image, model_weights: model } = objectOf(parseExact(old));
  const { prompt, seed, steps, sampler } = objectOf(image);
  const [first] = Array.isArray(prompt) ? prompt.map((part) => textOf(objectOf(part).prompt)) : [textOf(prompt)];
  return told("InvokeAI", old, { prompt: first, seed, steps, model, sampler });
}

function invokeAi(metadata, raw) {
  const {
    positive_prompt: prompt,
    negative_prompt: negativePrompt,
    seed,
    steps,
    model,
    scheduler,
  } = objectOf(metadata);
  const { name, model_name: oldName } = objectOf(model);
  return told("InvokeAI", raw, { prompt, negativePrompt, seed, steps, model: name ?? oldName, sampler: scheduler });
}

function readNovelAi(texts) {
  const raw = texts.get("Comment");
  if (!/^NovelAI/.test(texts.get("Software") ?? "") || !raw) return undefined;
  const { prompt, uc, seed, steps, sampler, v4_prompt, v4_negative_prompt } = objectOf(parseExact(raw));
  const caption = (of) => objectOf(objectOf(of).caption).base_caption;
  return told("NovelAI", raw, {
    prompt: prompt ?? caption(v4_prompt) ?? texts.get("Description"),
    negativePrompt: uc ?? caption(v4_negative_prompt),
    seed,
    steps,
    sampler,
    model: texts.get("Source"),
  });
}

function readSwarmUi(texts) {
  const raw = parametersOf(texts);
  if (!raw?.includes("sui_image_params")) return undefined;
  const { prompt, negativeprompt, seed, steps, model, sampler } = objectOf(objectOf(parseExact(raw)).sui_image_params);
  return told("SwarmUI", raw, { prompt, negativePrompt: negativeprompt, seed, steps, model, sampler });
}

/** Its own scheme is JSON; its other one is A1111's. */
function readFooocus(texts) {
  const raw = parametersOf(texts) ?? texts.get("Comment");
  if (!raw?.startsWith("{") || !/"(base_model|fooocus_v2_expansion|metadata_scheme)"/.test(raw)) return undefined;
  const {
    prompt,
    negative_prompt: negativePrompt,
    seed,
    steps,
    base_model: model,
    sampler,
  } = objectOf(parseExact(raw));
  return told("Fooocus", raw, { prompt, negativePrompt, seed, steps, model, sampler });
}

/** `Steps: 20, Sampler: Euler a, …`: the last line of what A1111 writes, and those that came after it. */
const LAST_LINE = /^Steps: \d+(,|$)/;
const FIELD = /([A-Za-z][\w /-]{0,40}): ("[^"\\]*(?:\\.[^"\\]*)*"|[^,]{0,500})(?:, |,?$)/g;
/** More of it is looked through by nobody: what is read here stands at its beginning, and a file may hold anything. */
const LONGEST_LINE = 2 ** 16;

function readInfotext(texts) {
  const raw = parametersOf(texts);
  const lines = raw?.split(/\r?\n/) ?? [];
  const at = lines.map((line) => LAST_LINE.test(line)).lastIndexOf(true);
  if (at === -1) return undefined;
  const found = lines[at].slice(0, LONGEST_LINE).matchAll(FIELD);
  const fields = new Map([...found].map(([, name, value]) => [name, value.replace(/^"|"$/g, "")]));
  const words = lines.slice(0, at);
  const negativeAt = words.findIndex((line) => line.startsWith("Negative prompt:"));
  const [positive, negative] = negativeAt === -1 ? [words, []] : [words.slice(0, negativeAt), words.slice(negativeAt)];
  return told(programOf(fields), raw, {
    prompt: positive.join("\n"),
    negativePrompt: negative.join("\n").replace("Negative prompt:", ""),
    seed: fields.get("Seed"),
    steps: fields.get("Steps"),
    model: fields.get("Model"),
    sampler: fields.get("Sampler"),
  });
}

function programOf(fields) {
  const [app, version] = [fields.get("App") ?? "", fields.get("Version") ?? ""];
  if (/SD\.Next/i.test(app)) return "SD.Next";
  if (/Fooocus/i.test(version)) return "Fooocus";
  if (/ComfyUI/i.test(version)) return "ComfyUI";
  return /^f\d|forge|^neo/i.test(version) ? "Forge" : "A1111";
}

const parametersOf = (texts) => texts.get("parameters") ?? texts.get("UserComment");
