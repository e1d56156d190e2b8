// imagen-cloud/metadata: what files say of themselves, as each program writes it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { readMetadata } from "imagen-cloud/metadata";
import { cborText, exifOf, fractions, jpegWith, pngWith, pngWithBox, webpWith } from "../support/metadata.mjs";

const [PNG, JPEG, WEBP] = await Promise.all(
  ["png", "jpg", "webp"].map((type) => readFile(new URL(`../data/lighthouse.${type}`, import.meta.url))),
);

/** Beyond 2^53: where it goes through a double, it ends with other digits. */
const SEED = 9223372036854775807n;
const FACTS = { prompt: "a lighthouse, “dusk”", negativePrompt: "blurry, text", seed: SEED, steps: 28 };

const INFOTEXT = `a lighthouse, “dusk”
Negative prompt: blurry, text
Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: ${SEED}, Size: 512x512, Model: dream, \
Lora hashes: "a: 1, Seed: 2", Version: v1.10.1`;
const BY_A1111 = { ...FACTS, generator: "A1111", model: "dream", sampler: "DPM++ 2M", raw: INFOTEXT };

test("A1111's parameters are read from a PNG's texts of each kind", async () => {
  for (const kind of ["tEXt", "iTXt", "zTXt"]) {
    const text = kind === "zTXt" ? INFOTEXT.replace(/[“”]/g, '"') : INFOTEXT;
    const { raw, prompt, ...rest } = await readMetadata(pngWith(PNG, { parameters: text }, kind));
    const { raw: _, prompt: __, ...right } = BY_A1111;
    assert.deepEqual(rest, right, kind);
    assert.equal(raw, text, kind);
    assert.equal(prompt, text.split("\n")[0], kind);
  }
});

test("A1111's parameters are read from EXIF, in UTF-16 of either order", async () => {
  for (const order of ["be", "le"]) {
    const exif = exifOf({ comment: INFOTEXT, order });
    assert.deepEqual(await readMetadata(jpegWith(JPEG, exif)), BY_A1111, `JPEG, ${order}`);
    assert.deepEqual(await readMetadata(webpWith(WEBP, exif)), BY_A1111, `WebP, ${order}`);
  }
});

test("A1111's parameters are read by browsers of before 2022, too", async (t) => {
  // What Chrome 96, Firefox 96 and Safari 15.4 lack.
  const newer = ["findLast", "findLastIndex", "toReversed", "toSorted", "toSpliced", "with"];
  const kept = newer.map((name) => [name, Object.getOwnPropertyDescriptor(Array.prototype, name)]);
  t.after(() => Object.defineProperties(Array.prototype, Object.fromEntries(kept)));
  for (const name of newer) delete Array.prototype[name];
  assert.deepEqual(await readMetadata(jpegWith(JPEG, exifOf({ comment: INFOTEXT }))), BY_A1111);
});

test("Forge, SD.Next and Fooocus are known by their version", async () => {
  for (const [said, generator] of [
    ["Version: f2.0.1v1.10.1", "Forge"],
    ["App: SD.Next, Version: 2b9a", "SD.Next"],
    ["Version: Fooocus v2.5.5", "Fooocus"],
  ]) {
    const parameters = INFOTEXT.replace("Version: v1.10.1", said);
    assert.deepEqual(await readMetadata(pngWith(PNG, { parameters })), { ...BY_A1111, generator, raw: parameters });
  }
});

test("words that look like parameters stay words", async () => {
  const prompt = "Steps: 3, they said\nNegative space: yes";
  const {
    prompt: read,
    steps,
    negativePrompt,
  } = await readMetadata(pngWith(PNG, { parameters: `${prompt}\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 8x8` }));
  assert.deepEqual({ read, steps, negativePrompt }, { read: prompt, steps: 20, negativePrompt: undefined });
});

/** JSON in which the seed has every digit, and a fraction has more than it needs. */
const json = (value) =>
  JSON.stringify(value).replaceAll('"SEED"', String(SEED)).replace('"FRACTION"', "0.1234567890123456789");

const { prompt, negativePrompt } = FACTS;
const PROGRAMS = {
  InvokeAI: {
    invokeai_metadata: json({
      app_version: "5.4.0",
      positive_prompt: prompt,
      negative_prompt: negativePrompt,
      seed: "SEED",
      steps: 28,
      model: { key: "k", name: "dream" },
      scheduler: "euler",
    }),
  },
  NovelAI: {
    Title: "NovelAI generated image",
    Software: "NovelAI",
    Source: "dream",
    Comment: json({
      prompt,
      uc: negativePrompt,
      seed: "SEED",
      steps: 28,
      sampler: "euler",
      noise: "FRACTION",
    }),
  },
  SwarmUI: {
    parameters: json({
      sui_image_params: {
        prompt,
        negativeprompt: negativePrompt,
        seed: "SEED",
        steps: 28,
        model: "dream",
        sampler: "euler",
      },
    }),
  },
  Fooocus: {
    fooocus_scheme: "fooocus",
    parameters: json({
      metadata_scheme: "fooocus",
      prompt,
      negative_prompt: negativePrompt,
      seed: String(SEED),
      steps: 28,
      base_model: "dream",
      sampler: "euler",
    }),
  },
};

for (const [generator, texts] of Object.entries(PROGRAMS)) {
  test(`${generator}'s own texts are read, with every digit of the seed`, async () => {
    const { raw, ...found } = await readMetadata(pngWith(PNG, texts));
    assert.deepEqual(found, { ...FACTS, generator, model: "dream", sampler: "euler" });
    assert.ok(Object.values(texts).includes(raw));
  });
}

test("an InvokeAI of before its third version is read, too", async () => {
  const image = { prompt: [{ prompt, weight: 1 }], seed: 7, steps: 5, sampler: "k_euler" };
  const { raw, ...found } = await readMetadata(
    pngWith(PNG, { "sd-metadata": json({ app_id: "invoke-ai/InvokeAI", model_weights: "sd-1.5", image }) }),
  );
  assert.deepEqual(found, { generator: "InvokeAI", prompt, seed: 7n, steps: 5, model: "sd-1.5", sampler: "k_euler" });
});

/** ComfyUI's graph of one sampler, with its words behind a ControlNet and its model behind a LoRA. */
const GRAPH = {
  1: { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: "dream" } },
  2: { class_type: "LoraLoader", inputs: { lora_name: "l", model: ["1", 0], clip: ["1", 1] } },
  3: { class_type: "CLIPTextEncode", inputs: { text: ["9", 0], clip: ["2", 1] } },
  4: { class_type: "CLIPTextEncode", inputs: { text: negativePrompt, clip: ["2", 1] } },
  5: { class_type: "ControlNetApplyAdvanced", inputs: { positive: ["3", 0], negative: ["4", 0], strength: 1 } },
  6: {
    class_type: "KSampler",
    inputs: { seed: "SEED", steps: 28, sampler_name: "euler", positive: ["5", 0], negative: ["5", 1], model: ["2", 0] },
  },
  7: { class_type: "SaveImage", inputs: { images: ["6", 0] }, is_changed: [0] },
  9: { class_type: "PrimitiveString", inputs: { value: prompt } },
};
const asPython = (graph) => json(graph).replace('"is_changed":[0]', '"is_changed":[NaN]');

test("ComfyUI's graph is read where it has one sampler", async () => {
  const right = { ...FACTS, generator: "ComfyUI", model: "dream", sampler: "euler" };
  const text = asPython(GRAPH);
  const { raw, ...found } = await readMetadata(pngWith(PNG, { prompt: text, workflow: "{}" }));
  assert.deepEqual(found, right);
  assert.equal(raw, text);
  const exif = exifOf({ ascii: { 271: "workflow:{}", 272: `prompt:${text}` } });
  const { raw: _, ...inWebp } = await readMetadata(webpWith(WEBP, exif));
  assert.deepEqual(inWebp, right);
});

test("ComfyUI's newer samplers are read by what they are linked to", async () => {
  const graph = {
    1: { class_type: "UNETLoader", inputs: { unet_name: "flux" } },
    2: { class_type: "CLIPTextEncode", inputs: { text: prompt } },
    3: { class_type: "FluxGuidance", inputs: { guidance: 3.5, conditioning: ["2", 0] } },
    4: { class_type: "BasicGuider", inputs: { model: ["1", 0], conditioning: ["3", 0] } },
    5: { class_type: "RandomNoise", inputs: { noise_seed: "SEED" } },
    6: { class_type: "KSamplerSelect", inputs: { sampler_name: "euler" } },
    7: { class_type: "BasicScheduler", inputs: { scheduler: "simple", steps: 28, model: ["1", 0] } },
    8: {
      class_type: "SamplerCustomAdvanced",
      inputs: { noise: ["5", 0], guider: ["4", 0], sampler: ["6", 0], sigmas: ["7", 0] },
    },
  };
  const { raw, ...found } = await readMetadata(pngWith(PNG, { prompt: json(graph) }));
  assert.deepEqual(found, { generator: "ComfyUI", prompt, seed: SEED, steps: 28, model: "flux", sampler: "euler" });
});

test("of several samplers, or words that are put together, nothing is guessed", async () => {
  const two = { ...GRAPH, 8: { class_type: "KSampler", inputs: { seed: 2, steps: 3 } } };
  const { raw, ...found } = await readMetadata(pngWith(PNG, { prompt: json(two) }));
  assert.deepEqual(found, { generator: "ComfyUI" });
  const combined = {
    class_type: "ConditioningCombine",
    inputs: { conditioning_1: ["3", 0], conditioning_2: ["4", 0] },
  };
  const put = await readMetadata(pngWith(PNG, { prompt: json({ ...GRAPH, 5: combined }) }));
  assert.deepEqual([put.prompt, put.seed], [undefined, SEED]);
});

test("a graph that is a circle ends", async () => {
  const circle = { class_type: "Loop", inputs: { conditioning: ["5", 0] } };
  const { prompt: found, steps } = await readMetadata(pngWith(PNG, { prompt: json({ ...GRAPH, 5: circle }) }));
  assert.deepEqual([found, steps], [undefined, 28]);
});

test("an unsigned seed of 64 bits keeps its digits, and what is no seed is left out", async () => {
  const seedOf = async (seed) =>
    (await readMetadata(pngWith(PNG, { parameters: `x\nSteps: 2, Sampler: a, Seed: ${seed}, Size: 8x8` }))).seed;
  assert.equal(await seedOf("18446744073709551615"), 18446744073709551615n);
  assert.equal(await seedOf("-9223372036854775808"), -9223372036854775808n);
  for (const wrong of ["18446744073709551616", "1.5", "many", ""]) assert.equal(await seedOf(wrong), undefined, wrong);
});

test("Content Credentials name what made the claim, and nothing else of them is believed", async () => {
  const name = "Adobe_Firefly c2pa-rs/0.31.0, with a name of more than twenty-three letters";
  const old = pngWithBox(PNG, cborText("claim_generator"), cborText(name));
  assert.deepEqual(await readMetadata(old), { credentials: name });
  const info = [cborText("claim_generator_info"), Buffer.of(0x81, 0xa1), cborText("name"), cborText("Firefly")];
  assert.deepEqual(await readMetadata(pngWithBox(PNG, ...info)), { credentials: "Firefly" });
  assert.deepEqual(await readMetadata(pngWithBox(PNG, cborText("claim_generator"), Buffer.of(0x78, 200))), {});
});

test("a place is read with its signs", async () => {
  const place = { latitude: -33.8568, longitude: 151.2153 };
  for (const bytes of [jpegWith(JPEG, exifOf({ place })), webpWith(WEBP, exifOf({ place, comment: "a photo" }))]) {
    const { place: found, ...rest } = await readMetadata(bytes);
    assert.ok(Math.abs(found.latitude - place.latitude) < 1e-4 && Math.abs(found.longitude - place.longitude) < 1e-4);
    assert.deepEqual(rest, {});
  }
});

test("a place is read whose minutes or seconds are left out or not known, and none without its half of the earth", async () => {
  const read = async (given) => (await readMetadata(jpegWith(JPEG, exifOf({ place: given })))).place;
  const place = { latitude: -33.5, longitude: 151.25 };
  for (const [how, parts] of Object.entries({
    "degrees alone": (value) => fractions(value * 4, 4),
    "no seconds": (value) => fractions(Math.floor(value), 1, (value % 1) * 60, 1),
    "seconds that are not known": (value) => fractions(Math.floor(value), 1, (value % 1) * 60, 1, 0, 0),
    "minutes and seconds that are not known": (value) => fractions(value * 4, 4, 0, 0, 0, 0),
  })) {
    assert.deepEqual(await read({ ...place, parts }), place, how);
  }
  for (const halves of [
    ["", "", "", ""],
    ["?", "?", "E", "W"],
    ["N", "S", "\0", "\0"],
  ]) {
    assert.equal(await read({ ...place, halves }), undefined, JSON.stringify(halves));
  }
  assert.deepEqual(await read({ ...place, halves: ["n\0", "s\0", "e\0", "w\0"] }), place);
  assert.equal(await read({ ...place, parts: () => fractions(0, 0, 30, 1, 0, 1) }), undefined, "no degrees");
});

test("a Blob, a buffer and a view of one give the same; anything else is refused", async () => {
  const bytes = pngWith(PNG, { parameters: INFOTEXT });
  const within = Buffer.concat([Buffer.from("before"), bytes]);
  const view = within.subarray(6);
  for (const image of [
    new Blob([bytes]),
    Uint8Array.from(bytes).buffer,
    view,
    new DataView(view.buffer, view.byteOffset),
  ]) {
    assert.deepEqual(await readMetadata(image), BY_A1111);
  }
  for (const image of [undefined, null, "a text", 7, {}]) await assert.rejects(readMetadata(image), TypeError);
});

test("of many parts that are packed small no more is unpacked than one may have", async (t) => {
  const Real = globalThis.DecompressionStream;
  let unpacked = 0;
  globalThis.DecompressionStream = class {
    constructor(format) {
      const { readable, writable } = new Real(format);
      const count = new TransformStream({
        transform(piece, to) {
          unpacked += piece.byteLength;
          to.enqueue(piece);
        },
      });
      Object.assign(this, { writable, readable: readable.pipeThrough(count) });
    }
  };
  t.after(() => {
    globalThis.DecompressionStream = Real;
  });
  const long = "x".repeat(8 * 1024 * 1024);
  const parts = Object.fromEntries(Array.from({ length: 8 }, (_, number) => [`part${number}`, long]));
  await readMetadata(pngWith(PNG, parts, "zTXt"));
  const most = 16 * 1024 * 1024;
  assert.ok(unpacked > 0 && unpacked <= most + 2 ** 20, `${unpacked} bytes`);
});

test("a text that was made to be read for hours is read at once", async () => {
  const times = 400_000;
  for (const [how, bytes] of Object.entries({
    "fields that don't end": pngWith(PNG, { parameters: `p\nSteps: 1, ${"a: ".repeat(times)},x` }),
    "quoted fields that don't end": pngWith(PNG, { parameters: `p\nSteps: 1, ${'a: "\\'.repeat(times)},x` }),
    "a JSON text that doesn't end": pngWith(PNG, { prompt: `{"${'\\"'.repeat(times)}` }),
    "one that ends in its escape": pngWith(PNG, { prompt: `{"${'\\"'.repeat(times)}\\` }),
    "NULs in the midst": webpWith(WEBP, exifOf({ comment: `${"\0".repeat(times)}x` })),
  })) {
    // Of these each took longer, by the square, than a test may.
    const { raw, ...found } = await readMetadata(bytes);
    const isInfotext = how.includes("fields");
    const known = isInfotext ? { generator: "A1111", prompt: "p" } : {};
    assert.deepEqual(
      { generator: found.generator, prompt: found.prompt },
      { generator: undefined, prompt: undefined, ...known },
      how,
    );
  }
});

test("a file that says nothing, is broken, or lies, gives nothing", async () => {
  for (const bytes of [PNG, JPEG, WEBP, Buffer.alloc(0), Buffer.from("no image"), PNG.subarray(0, 40)]) {
    assert.deepEqual(await readMetadata(bytes), {});
  }
  for (const texts of [
    { invokeai_metadata: "{" },
    { parameters: "just some words" },
    { parameters: '{"sui_image_params": 7}' },
    { prompt: '{"1": null, "2": {"class_type": "KSampler"}}' },
    { prompt: "[]" },
    { Comment: "made with love", Software: "GIMP" },
  ]) {
    const { raw, generator, ...found } = await readMetadata(pngWith(PNG, texts));
    assert.deepEqual(found, {}, JSON.stringify(texts));
  }
});
