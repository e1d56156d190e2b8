// A page of images as callers see it, out of the answer's own text: a sidecar may be of any depth, and a seed has all its digits.
import { attempt } from "../host/safe.js";

/** The images of a page's text, or `undefined` if it is none. `links` are of its rows; so many rows are the page's. */
export const imagesOf = (text, count, links, columns) =>
  attempt(() => {
    const page = JSON.parse(text);
    if (!Array.isArray(page)) return page.images.map(exact);
    const own = columns ? columns.split(",") : [];
    return page.slice(0, count).map((row, index) => {
      const image = exact(imageOf(row, own));
      return links ? { ...image, signedUrl: links[index] ?? null } : image;
    });
  });

function imageOf(row, own) {
  const entries = Object.entries(row);
  const ours = entries.filter(([column]) => !own.includes(column)).map(([column, value]) => [fieldOf(column), value]);
  const columns = entries.filter(([column]) => own.includes(column));
  return Object.fromEntries([...ours, ["columns", Object.fromEntries(columns)]]);
}

const fieldOf = (column) =>
  column === "id" ? "imageId" : column.replaceAll(/_(.)/g, (_, letter) => letter.toUpperCase());

/** JSON has no int64: a seed comes as text. */
const exact = (image) => ({
  ...image,
  columns: image.columns ?? {},
  seed: typeof image.seed === "string" ? BigInt(image.seed) : (image.seed ?? null),
});
