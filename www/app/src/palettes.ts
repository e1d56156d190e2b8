import { pick, type Random } from "./random";

/** The colours of one light: `#rrggbb`, far to near. */
export interface Palette {
  name: string;
  /** From the zenith to the horizon. */
  sky: readonly [string, string, string, string];
  /** Disc and glow of sun or moon. */
  light: string;
  /** The farthest and the nearest ridge. */
  far: string;
  near: string;
  /** What lies between the ridges. */
  mist: string;
  stars: boolean;
}

const DUSK: Palette = {
  name: "dusk",
  sky: ["#1f2a4d", "#5b4a78", "#c9727a", "#f6b787"],
  light: "#fff0cf",
  far: "#a8687c",
  near: "#1a1830",
  mist: "#f0a98a",
  stars: true,
};
const DAWN: Palette = {
  name: "dawn",
  sky: ["#6f9bb8", "#a9c3cb", "#f3d9c4", "#fbe7cf"],
  light: "#fff8ea",
  far: "#b9bfc4",
  near: "#2c4453",
  mist: "#f7e3d2",
  stars: false,
};
const NIGHT: Palette = {
  name: "night",
  sky: ["#070b1c", "#0f1c3a", "#1f3a5f", "#3f6580"],
  light: "#f2f6ff",
  far: "#2d4c68",
  near: "#050912",
  mist: "#4b7186",
  stars: true,
};
const EMBER: Palette = {
  name: "ember",
  sky: ["#3a1c32", "#8a2f3f", "#e0653f", "#fbb54c"],
  light: "#fff1c4",
  far: "#bf5840",
  near: "#1d0f1c",
  mist: "#f79a4c",
  stars: false,
};
const JADE: Palette = {
  name: "jade",
  sky: ["#123a44", "#2f6a68", "#8fb996", "#e6e2b4"],
  light: "#fffbe0",
  far: "#7da58d",
  near: "#0b2228",
  mist: "#cfdcae",
  stars: false,
};
const FROST: Palette = {
  name: "frost",
  sky: ["#40628a", "#86a6c4", "#c9d8e4", "#f2eee9"],
  light: "#ffffff",
  far: "#b4c5d6",
  near: "#22364f",
  mist: "#edf1f4",
  stars: false,
};
const ROSE: Palette = {
  name: "rose",
  sky: ["#4b4a7f", "#98719f", "#e6a1ac", "#fbd8c5"],
  light: "#fff6ee",
  far: "#c78fa6",
  near: "#2a2348",
  mist: "#f3c3bf",
  stars: false,
};
const STORM: Palette = {
  name: "storm",
  sky: ["#1c2530", "#3b4a57", "#75838a", "#c6c3b4"],
  light: "#f4efdf",
  far: "#7f8d92",
  near: "#10171d",
  mist: "#b4b8b2",
  stars: false,
};

const ALL = [DUSK, DAWN, NIGHT, EMBER, JADE, FROST, ROSE, STORM] as const;

/** Words of a prompt that ask for a light. */
const BY_WORD: [RegExp, Palette][] = [
  [/\b(night|midnight|moon\w*|stars?|starry|aurora)\b/, NIGHT],
  [/\b(dusk|twilight|evening)\b/, DUSK],
  [/\b(dawn|morning|sunrise|daybreak)\b/, DAWN],
  [/\b(sunset|desert|fire|ember|autumn|fall|volcano|mars)\b/, EMBER],
  [/\b(forest|jungle|green|moss|spring|pines?|trees?|woods?)\b/, JADE],
  [/\b(snow\w*|ice|icy|winter|frost\w*|glacier|arctic)\b/, FROST],
  [/\b(rose|pink|cherry|blossoms?|dream\w*|love)\b/, ROSE],
  [/\b(storm\w*|rain\w*|grey|gray|fog\w*|mist\w*|clouds?|cloudy)\b/, STORM],
];

export function paletteFor(prompt: string, random: Random): Palette {
  const drawn = pick(random, ALL);
  return BY_WORD.find(([words]) => words.test(prompt))?.[1] ?? drawn;
}

/** The colour `t` of the way from one to the other. */
export function mix(from: string, to: string, t: number): string {
  const [a, b] = [channels(from), channels(to)];
  const mixed = a.map((channel, i) => Math.round(channel + ((b[i] ?? channel) - channel) * t));
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

/** The colour, `alpha` (0 to 1) thick. */
export function fade(color: string, alpha: number): string {
  return `rgba(${channels(color).join(", ")}, ${alpha})`;
}

function channels(color: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
}
