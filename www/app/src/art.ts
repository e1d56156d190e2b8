import { fade, mix, type Palette, paletteFor } from "./palettes";
import { between, lineNoise, type Random, randomFrom } from "./random";

/** Of a window or of a worker alike. */
type Context2D = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** What a row tells of how its picture was made. */
export const MODEL = "strata-1";

/** Paints the picture of this prompt and seed: ridges in mist before a low sun, by the sea or inland. */
export function paint(ctx: Context2D, size: number, prompt: string, seed: bigint): { palette: string; layers: number } {
  const words = prompt.trim().toLowerCase();
  const random = randomFrom(`${words}\n${seed}`);
  const scene = compose(words, random);
  ctx.save();
  ctx.scale(size, size);
  paintSky(ctx, scene, random);
  paintLight(ctx, scene);
  paintClouds(ctx, scene, random);
  paintRidges(ctx, scene, random);
  if (scene.lighthouse) paintLighthouse(ctx, scene, random);
  if (scene.birds) paintBirds(ctx, scene, random);
  if (scene.water) paintWater(ctx, scene, size, random);
  ctx.restore();
  paintGrain(ctx, size, random);
  return { palette: scene.palette.name, layers: scene.ridges };
}

/** All lengths are parts of the picture's side, from its top left corner. */
interface Scene {
  palette: Palette;
  light: { x: number; y: number; radius: number };
  horizon: number;
  ridges: number;
  peaks: number;
  water: boolean;
  pines: boolean;
  lighthouse: boolean;
  birds: boolean;
}

function compose(words: string, random: Random): Scene {
  const palette = paletteFor(words, random);
  const lighthouse = /\blight ?house\b/.test(words);
  const inland = /\b(mountains?|hills?|desert|forest|valley|pines?|woods?)\b/.test(words);
  const coast = lighthouse || /\b(sea|ocean|lake|river|water|coast|island|bay|fjord)\b/.test(words);
  const water = random() < 0.45 ? coast || !inland : coast;
  const horizon = water ? between(random, 0.62, 0.7) : between(random, 0.5, 0.58);
  // The light stays clear of the lighthouse, which stands to the right.
  const x = lighthouse ? between(random, 0.2, 0.48) : between(random, 0.22, 0.78);
  return {
    palette,
    light: { x, y: horizon - between(random, 0.1, 0.3), radius: between(random, 0.045, 0.1) },
    horizon,
    ridges: water ? Math.round(between(random, 2, 4)) : Math.round(between(random, 6, 8)),
    peaks: between(random, 0.5, lighthouse ? 0.9 : water ? 1.8 : 1.15),
    water,
    pines: /\b(forest|pines?|trees?|woods?)\b/.test(words) || (!water && !/desert/.test(words) && random() < 0.4),
    lighthouse,
    birds: /\b(birds?|gulls?|geese)\b/.test(words) || random() < 0.35,
  };
}

function paintSky(ctx: Context2D, { palette, horizon }: Scene, random: Random): void {
  const sky = ctx.createLinearGradient(0, 0, 0, horizon * 1.04);
  for (const [i, color] of palette.sky.entries()) sky.addColorStop([0, 0.38, 0.78, 1][i] ?? 1, color);
  ctx.fillStyle = sky;
  ctx.fillRect(0, 0, 1, 1);
  if (!palette.stars) return;
  for (let i = 0; i < 260; i++) {
    const [x, y] = [random(), random() ** 1.6 * horizon * 0.8];
    const brightness = random() ** 3 * (1 - y / horizon);
    ctx.fillStyle = fade("#ffffff", 0.15 + 0.8 * brightness);
    disc(ctx, x, y, 0.0006 + 0.0013 * brightness);
  }
}

function paintLight(ctx: Context2D, { palette, light: { x, y, radius } }: Scene): void {
  for (const [reach, alpha] of [
    [9, 0.34],
    [4.2, 0.3],
    [1.9, 0.42],
  ] as const) {
    const glow = ctx.createRadialGradient(x, y, radius * 0.6, x, y, radius * reach);
    glow.addColorStop(0, fade(palette.light, alpha));
    glow.addColorStop(0.4, fade(palette.light, alpha * 0.28));
    glow.addColorStop(1, fade(palette.light, 0));
    ctx.fillStyle = glow;
    ctx.fillRect(0, 0, 1, 1);
  }
  const face = ctx.createLinearGradient(0, y - radius, 0, y + radius);
  face.addColorStop(0, palette.light);
  face.addColorStop(1, mix(palette.light, palette.sky[3], 0.45));
  ctx.fillStyle = face;
  disc(ctx, x, y, radius);
}

/** Long thin veils, thicker towards the horizon; some pass before the light. */
function paintClouds(ctx: Context2D, { palette, horizon, light }: Scene, random: Random): void {
  for (let i = 0; i < 26; i++) {
    const y = horizon * (0.18 + 0.8 * random() ** 0.7);
    const [x, width] = [between(random, -0.1, 1.1), between(random, 0.12, 0.6)];
    const height = width * between(random, 0.008, 0.03);
    const lit = Math.max(0, 1 - Math.hypot(x - light.x, (y - light.y) * 2) / 0.7);
    const color = mix(palette.sky[y < horizon * 0.5 ? 1 : 3], palette.light, 0.25 + 0.6 * lit);
    ctx.fillStyle = fade(color, 0.09 + 0.1 * random());
    for (let veil = 0; veil < 5; veil++) {
      const [dx, scale] = [between(random, -0.25, 0.25) * width, 1 - veil * 0.16];
      ctx.beginPath();
      ctx.ellipse(x + dx, y, (width * scale) / 2, height * scale, 0, 0, Math.PI * 2);
      ctx.fill();
    }
  }
}

/** From the farthest, pale and low, to the nearest, dark and rough; each one's foot dissolves in mist. */
function paintRidges(ctx: Context2D, scene: Scene, random: Random): void {
  const { palette, horizon, ridges, peaks, water } = scene;
  for (let i = 0; i < ridges; i++) {
    const depth = ridges === 1 ? 1 : i / (ridges - 1);
    const noise = lineNoise(random, 7, 0.4 + 0.1 * depth);
    const [shift, stretch] = [random() * 100, between(random, 1.6, 2.6) + depth * 0.8];
    const base = water ? horizon : horizon + depth ** 1.25 * 0.36;
    const height = water ? 0.15 * peaks * (1 - 0.55 * depth) : (0.16 + 0.05 * Math.sin(depth * Math.PI)) * peaks;
    const top = (x: number) => {
      const wave = noise(shift + x * stretch);
      // Folding the noise makes crests instead of hills.
      const crest = 1 - Math.abs(wave) * 1.9;
      return base - height * (0.62 * crest + 0.38 * wave + 0.1) - (water ? 0.006 : 0);
    };
    fillRidge(ctx, scene, depth, base, height, top);
    if (scene.pines && depth > 0.55) paintPines(ctx, scene, depth, top, random);
  }
  if (!water) {
    const foreground = ctx.createLinearGradient(0, 0.84, 0, 1);
    foreground.addColorStop(0, fade(palette.near, 0));
    foreground.addColorStop(1, fade(palette.near, 0.9));
    ctx.fillStyle = foreground;
    ctx.fillRect(0, 0.84, 1, 0.16);
  }
}

function fillRidge(
  ctx: Context2D,
  scene: Scene,
  depth: number,
  base: number,
  height: number,
  top: (x: number) => number,
): void {
  const { palette, light, water, horizon } = scene;
  const bottom = water ? horizon : 1;
  ctx.beginPath();
  ctx.moveTo(-0.01, bottom);
  for (let x = -0.01; x <= 1.01; x += 1 / 900) ctx.lineTo(x, Math.min(top(x), bottom));
  ctx.lineTo(1.01, bottom);
  ctx.closePath();
  const own = ridgeColor(scene, depth);
  const body = ctx.createLinearGradient(0, base - height, 0, Math.min(base + height * 1.1, bottom + 0.02));
  body.addColorStop(0, own);
  body.addColorStop(0.45, mix(own, palette.mist, 0.12));
  body.addColorStop(1, mix(own, palette.mist, water ? 0.45 : 0.75 * (1 - depth * 0.8)));
  ctx.fillStyle = body;
  ctx.fill();
  // The light grazes the slopes below it.
  const graze = ctx.createRadialGradient(light.x, light.y, 0, light.x, light.y, 0.55);
  graze.addColorStop(0, fade(palette.light, 0.26 * (1 - depth)));
  graze.addColorStop(1, fade(palette.light, 0));
  ctx.fillStyle = graze;
  ctx.fill();
}

/** A ridge's own colour, the nearer the darker. */
function ridgeColor({ palette, water }: Scene, depth: number): string {
  return mix(palette.far, palette.near, water ? 0.25 + 0.6 * depth : depth ** 1.15);
}

function paintPines(ctx: Context2D, scene: Scene, depth: number, top: (x: number) => number, random: Random): void {
  ctx.fillStyle = ridgeColor(scene, depth);
  const spacing = 0.006 + 0.012 * depth;
  for (let x = -0.02; x < 1.02; x += spacing * between(random, 0.35, 1.3)) {
    const height = (0.012 + 0.05 * depth ** 3) * between(random, 0.5, 1.25);
    const foot = top(x) + height * 0.35;
    const half = height * between(random, 0.16, 0.24);
    ctx.beginPath();
    ctx.moveTo(x, foot - height);
    for (let tier = 1; tier <= 4; tier++) {
      const y = foot - height + (height * tier) / 4;
      ctx.lineTo(x + (half * tier) / 4, y);
      ctx.lineTo(x + (half * tier) / 7, y);
    }
    for (let tier = 4; tier >= 1; tier--) {
      const y = foot - height + (height * tier) / 4;
      ctx.lineTo(x - (half * tier) / 7, y);
      ctx.lineTo(x - (half * tier) / 4, y);
    }
    ctx.closePath();
    ctx.fill();
  }
}

/** What is above the horizon, upside down, darker and torn into ripples; the light's road lies across it. */
function paintWater(ctx: Context2D, { palette, horizon, light }: Scene, size: number, random: Random): void {
  const depth = 1 - horizon;
  const band = 1 / 512;
  // Once for all bands: a canvas that is drawn on itself is copied each time.
  const above = copyOf(ctx.canvas);
  for (let down = 0; down < depth; down += band) {
    const from = Math.max(0, horizon - band - down * 1.15);
    const sway = Math.sin(down * 900 + Math.sin(down * 230) * 3) * (0.0012 + (0.011 * down) / depth);
    const at = sway * between(random, 0.4, 1) - 0.012;
    ctx.drawImage(above, 0, from * size, size, band * size, at, horizon + down, 1.024, band * 1.3);
  }
  const shade = ctx.createLinearGradient(0, horizon, 0, 1);
  shade.addColorStop(0, fade(palette.mist, 0.22));
  shade.addColorStop(0.12, fade(palette.near, 0.18));
  shade.addColorStop(1, fade(palette.near, 0.78));
  ctx.fillStyle = shade;
  ctx.fillRect(0, horizon, 1, depth);

  ctx.lineCap = "round";
  for (let i = 0; i < 420; i++) {
    const t = random() ** 1.5;
    const spread = light.radius * (0.5 + 2.6 * t);
    const x = light.x + (random() + random() + random() - 1.5) * spread;
    glint(
      ctx,
      x,
      horizon + 0.004 + t * depth,
      (0.004 + 0.03 * t) * random(),
      fade(palette.light, 0.5 * (1 - t * 0.75)),
      t,
    );
  }
  for (let i = 0; i < 260; i++) {
    const t = random();
    const color = random() < 0.5 ? fade(palette.mist, 0.1) : fade(palette.near, 0.14);
    glint(ctx, random(), horizon + 0.004 + t * depth, (0.01 + 0.08 * t) * random(), color, t);
  }
}

function copyOf(canvas: Context2D["canvas"]): Context2D["canvas"] {
  // Not everywhere is an OffscreenCanvas, and not everywhere a document.
  const copy =
    "cloneNode" in canvas ? (canvas.cloneNode() as typeof canvas) : new OffscreenCanvas(canvas.width, canvas.height);
  const ctx = (copy as OffscreenCanvas).getContext("2d", { willReadFrequently: true });
  ctx?.drawImage(canvas, 0, 0);
  return copy;
}

function glint(ctx: Context2D, x: number, y: number, half: number, color: string, t: number): void {
  ctx.strokeStyle = color;
  ctx.lineWidth = 0.0008 + 0.0022 * t;
  ctx.beginPath();
  ctx.moveTo(x - half, y);
  ctx.lineTo(x + half, y);
  ctx.stroke();
}

/** On a rock at the right, its beam towards the open sea. */
function paintLighthouse(ctx: Context2D, { palette, horizon }: Scene, random: Random): void {
  const [x, foot, height] = [between(random, 0.7, 0.82), horizon - 0.012, between(random, 0.24, 0.3)];
  const [half, lamp] = [height * 0.075, foot - height];
  const dark = palette.near;

  const beam = ctx.createLinearGradient(x, lamp, 0, lamp - 0.12);
  beam.addColorStop(0, fade("#fff6d8", 0.62));
  beam.addColorStop(0.5, fade("#fff6d8", 0.14));
  beam.addColorStop(1, fade("#fff6d8", 0));
  ctx.fillStyle = beam;
  polygon(ctx, [x, lamp - 0.004, -0.05, lamp - 0.22, -0.05, lamp - 0.06, x, lamp + 0.004]);

  ctx.fillStyle = dark;
  const rock = lineNoise(random, 5, 0.55);
  ctx.beginPath();
  ctx.moveTo(x - 0.2, horizon + 0.012);
  for (let at = -0.2; at <= 0.4; at += 0.004) {
    const swell = Math.max(0, 1 - (at / (at < 0 ? 0.2 : 0.34)) ** 2) ** 0.8;
    ctx.lineTo(x + at, horizon + 0.01 - swell * (0.034 + 0.018 * rock(40 + at * 18)));
  }
  ctx.lineTo(x + 0.4, horizon + 0.012);
  ctx.closePath();
  ctx.fill();

  const tower = ctx.createLinearGradient(x - half, 0, x + half, 0);
  tower.addColorStop(0, mix(palette.light, palette.mist, 0.5));
  tower.addColorStop(0.45, mix(palette.mist, palette.near, 0.35));
  tower.addColorStop(1, mix(palette.near, palette.mist, 0.12));
  ctx.fillStyle = tower;
  polygon(ctx, [x - half, foot, x - half * 0.58, lamp + 0.022, x + half * 0.58, lamp + 0.022, x + half, foot]);
  ctx.fillStyle = fade(dark, 0.72);
  for (const [from, to] of [
    [0.18, 0.36],
    [0.56, 0.74],
  ] as const) {
    const width = (t: number) => half * (0.58 + 0.42 * t);
    const y = (t: number) => lamp + 0.022 + (height - 0.022) * t;
    polygon(ctx, [x - width(from), y(from), x + width(from), y(from), x + width(to), y(to), x - width(to), y(to)]);
  }
  ctx.fillStyle = dark;
  ctx.fillRect(x - half * 0.92, lamp + 0.017, half * 1.84, 0.006);
  ctx.fillRect(x - half * 0.42, lamp - 0.016, half * 0.84, 0.036);
  polygon(ctx, [x - half * 0.6, lamp - 0.014, x, lamp - 0.038, x + half * 0.6, lamp - 0.014]);

  const glow = ctx.createRadialGradient(x, lamp, 0, x, lamp, 0.09);
  glow.addColorStop(0, fade("#fffbe8", 1));
  glow.addColorStop(0.12, fade("#fff3c9", 0.75));
  glow.addColorStop(1, fade("#fff3c9", 0));
  ctx.fillStyle = glow;
  disc(ctx, x, lamp, 0.09);
}

function paintBirds(ctx: Context2D, { palette, horizon }: Scene, random: Random): void {
  const [x0, y0] = [between(random, 0.2, 0.7), horizon * between(random, 0.3, 0.6)];
  ctx.strokeStyle = fade(palette.near, 0.75);
  ctx.lineCap = "round";
  for (let i = 0, count = Math.round(between(random, 4, 9)); i < count; i++) {
    const side = i % 2 === 0 ? 1 : -1;
    const [x, y] = [x0 + i * 0.014 * side + between(random, 0, 0.01), y0 + i * 0.009 + between(random, 0, 0.012)];
    const [wing, lift] = [between(random, 0.006, 0.011), between(random, 0.3, 0.8)];
    ctx.lineWidth = 0.0014;
    ctx.beginPath();
    ctx.moveTo(x - wing, y - wing * lift);
    ctx.quadraticCurveTo(x - wing * 0.4, y - wing * lift * 0.9, x, y);
    ctx.quadraticCurveTo(x + wing * 0.4, y - wing * lift * 0.9, x + wing, y - wing * lift);
    ctx.stroke();
  }
}

/** A film's grain; it also hides the steps that 8 bits leave in a gradient. */
function paintGrain(ctx: Context2D, size: number, random: Random): void {
  const pixels = ctx.getImageData(0, 0, size, size);
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const grain = (random() + random() - 1) * 7;
    for (const channel of [i, i + 1, i + 2]) data[channel] = (data[channel] ?? 0) + grain;
  }
  ctx.putImageData(pixels, 0, 0);
}

function disc(ctx: Context2D, x: number, y: number, radius: number): void {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, Math.PI * 2);
  ctx.fill();
}

function polygon(ctx: Context2D, points: number[]): void {
  ctx.beginPath();
  for (let i = 0; i < points.length; i += 2) ctx.lineTo(points[i] ?? 0, points[i + 1] ?? 0);
  ctx.closePath();
  ctx.fill();
}
