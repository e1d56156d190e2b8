/** Numbers in [0, 1) that depend on nothing but the text they were seeded with. */
export type Random = () => number;

/** sfc32, seeded by a 128-bit hash (cyrb128) of the text: the same sequence in every browser. */
export function randomFrom(text: string): Random {
  let [a, b, c, d] = hash(text);
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    return (t >>> 0) / 2 ** 32;
  };
  // The first numbers still resemble the seed.
  for (let i = 0; i < 16; i++) next();
  return next;
}

function hash(text: string): [number, number, number, number] {
  let [a, b, c, d] = [1779033703, 3144134277, 1013904242, 2773480762];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = b ^ Math.imul(a ^ code, 597399067);
    b = c ^ Math.imul(b ^ code, 2869860233);
    c = d ^ Math.imul(c ^ code, 951274213);
    d = a ^ Math.imul(d ^ code, 2716044179);
  }
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a];
}

export function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low);
}

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T {
  return items[Math.floor(random() * items.length)] ?? items[0];
}

/** Smooth noise along a line, about -1 to 1: `octaves` waves, each twice as fine and `rough` times as high. */
export function lineNoise(random: Random, octaves: number, rough: number): (x: number) => number {
  const lattices = Array.from({ length: octaves }, () => Array.from({ length: 256 }, () => random() * 2 - 1));
  return (x) => {
    let [sum, height, total, scaled] = [0, 1, 0, x];
    for (const lattice of lattices) {
      const left = Math.floor(scaled);
      const t = scaled - left;
      const from = lattice[left & 255] ?? 0;
      const to = lattice[(left + 1) & 255] ?? 0;
      sum += height * (from + (to - from) * t * t * (3 - 2 * t));
      total += height;
      height *= rough;
      scaled *= 2;
    }
    return sum / total;
  };
}
