// Draws the images of this folder: `node tests/data/make.mjs`. Needs sharp, which miniflare brings along.
import { readFile, writeFile } from "node:fs/promises";
import sharp from "sharp";
import * as hard from "../support/images.mjs";

const drawing = (
  width,
  height,
) => `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 320 240">
  <defs>
    <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="#1b2a49"/><stop offset=".6" stop-color="#b5597a"/><stop offset="1" stop-color="#f3b562"/>
    </linearGradient>
    <linearGradient id="beam" x1="0" y1="0" x2="1" y2="0">
      <stop offset="0" stop-color="#fff6c8" stop-opacity=".9"/><stop offset="1" stop-color="#fff6c8" stop-opacity="0"/>
    </linearGradient>
  </defs>
  <rect width="320" height="240" fill="url(#sky)"/>
  <rect y="180" width="320" height="60" fill="#16324a"/>
  <polygon points="112,74 320,30 320,118" fill="url(#beam)"/>
  <polygon points="40,190 60,160 150,160 176,190" fill="#2b2b33"/>
  <polygon points="88,162 94,84 116,84 122,162" fill="#f4efe6"/>
  <polygon points="90,136 92,110 118,110 120,136" fill="#c23b3b"/>
  <rect x="94" y="66" width="22" height="18" fill="#fff6c8"/>
  <polygon points="90,66 105,52 120,66" fill="#c23b3b"/>
</svg>`;

const images = {
  "lighthouse.png": (image) => image.png({ compressionLevel: 9 }),
  "lighthouse.jpg": (image) => image.jpeg({ quality: 80 }),
  "lighthouse.webp": (image) => image.webp({ quality: 80 }),
  "lighthouse.avif": (image) => image.avif({ quality: 60 }),
  "lighthouse.gif": (image) => image.gif({ colours: 64 }),
};

for (const [name, encode] of Object.entries(images)) {
  const bytes = await encode(sharp(Buffer.from(drawing(320, 240)))).toBuffer();
  await writeFile(new URL(name, import.meta.url), bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}

const read = (name) => readFile(new URL(name, import.meta.url));
const [jpeg, png, gif, avif] = await Promise.all(
  ["lighthouse.jpg", "lighthouse.png", "lighthouse.gif", "plain.avif"].map(read),
);

const made = {
  "stray.jpg": hard.withStrayBytes(jpeg, 40),
  "meta-to-the-end.avif": hard.withEndlessMeta(avif),
  "long-boxes.avif": hard.withLongBoxes(avif),
  "larger-item.avif": hard.withLargerItem(avif),
  "o6.png": hard.withOrientation(png, 6, 5000),
  "no-screen.gif": hard.withScreen(gif, 0, 0),
  "small-screen.gif": hard.withScreen(gif, 160, 300),
  "cgbi.png": hard.asCgBI(png),
  "unix-line-ends.png": hard.withUnixLineEnds(png),
};

for (const [name, bytes] of Object.entries(made)) await writeFile(new URL(name, import.meta.url), bytes);
