import { integerOf, objectOf, parseExact, textOf, told } from "./values.js";

/** How far a link is followed: graphs may be circles. */
const MAX_DEPTH = 24;

/**
 * ComfyUI keeps the graph that made the picture: nodes by their number, whose inputs are values or links,
 * `["4", 0]` to what the node 4 puts out first. Which words and seed were the picture's is plain where there is one sampler.
 */
export function readComfyUi(texts) {
  const raw = texts.get("prompt") ?? exifText(texts, "prompt");
  if (!raw?.trimStart().startsWith("{")) return undefined;
  const graph = new Map(Object.entries(objectOf(parseExact(raw))));
  if (![...graph.values()].some((node) => objectOf(node).class_type)) return undefined;
  const samplers = [...graph.values()].filter(isSampler);
  if (samplers.length !== 1) return told("ComfyUI", raw, {});
  return told("ComfyUI", raw, ofSampler(graph, objectOf(samplers[0]).inputs));
}

/** In WebP and JPEG, `prompt:{…}` stands in one of EXIF's fields. */
function exifText(texts, name) {
  for (const field of ["Make", "Model", "ImageDescription", "UserComment"]) {
    const found = new RegExp(`^${name}: ?(\\{[^]*)`, "i").exec(texts.get(field) ?? "");
    if (found) return found[1];
  }
  return undefined;
}

const isSampler = (node) => /^(KSampler(Advanced)?|SamplerCustom(Advanced)?)$/.test(objectOf(node).class_type);

function ofSampler(graph, inputs) {
  const find = (link, names) => follow(graph, link, names, MAX_DEPTH);
  const { guider, noise, sigmas, sampler } = objectOf(inputs);
  const { positive, negative, conditioning, model } = { ...objectOf(inputs), ...nodeOf(graph, guider)?.inputs };
  const given = (names, links) => links.map((link) => find(link, names)).find((value) => value !== undefined);
  return {
    prompt: find(positive ?? conditioning, WORDS),
    negativePrompt: find(negative, WORDS),
    seed: given(["seed", "noise_seed", "value", "int"], [objectOf(inputs).seed, objectOf(inputs).noise_seed, noise]),
    steps: given(["steps", "value", "int"], [objectOf(inputs).steps, sigmas]),
    model: find(model, ["ckpt_name", "unet_name"]),
    sampler: given(["sampler_name"], [objectOf(inputs).sampler_name, sampler]),
  };
}

const WORDS = ["text", "t5xxl", "text_g", "prompt", "string", "value"];

/** Inputs that hand on what the node was given, one after another. */
const PASSED_ON = ["conditioning", "model", "base_model", "positive", "negative"];

/** A value, or the first of these inputs that the link leads to. Where two ways lead on it is not plain, and nothing. */
function follow(graph, link, names, depth) {
  if (!Array.isArray(link)) return textOf(link) ?? (integerOf(link) !== undefined ? link : undefined);
  const inputs = nodeOf(graph, link)?.inputs;
  if (!inputs || depth === 0) return undefined;
  const own = names.find((name) => Object.hasOwn(inputs, name));
  if (own !== undefined) return follow(graph, inputs[own], names, depth - 1);
  const onward = PASSED_ON.filter((name) => Array.isArray(inputs[name]));
  // A node that takes both puts the one out first, the other second.
  const isPair = onward.includes("positive") && onward.includes("negative");
  const next = isPair ? ["positive", "negative"][link[1]] : onward.length === 1 ? onward[0] : undefined;
  return next === undefined ? undefined : follow(graph, inputs[next], names, depth - 1);
}

const nodeOf = (graph, link) =>
  Array.isArray(link) && graph.has(String(link[0])) ? withInputs(graph.get(String(link[0]))) : undefined;
const withInputs = (node) => ({ inputs: objectOf(objectOf(node).inputs) });
