// Draws the small picture that goes beside an image. Loaded when the first one is wanted, and only where one can be drawn.

/** How well a lossy one is drawn: a gallery's tile does not need more. */
const QUALITY = 0.8;

/**
 * @param {Blob | Uint8Array} image @param {number} side the longer one's pixels at most @param {string} type its MIME type
 * @returns {Promise<Blob | undefined>} nothing where there is no canvas, or none that gives back what is drawn on it
 */
export async function draw(image, side, type) {
  if (typeof createImageBitmap !== "function") return undefined;
  const bitmap = await createImageBitmap(image instanceof Blob ? image : new Blob([image]));
  try {
    const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((pixels) => Math.max(1, Math.round(pixels * scale)));
    const drawn = await written(bitmap, width, height, type);
    // WebKit writes PNG when it is asked for WebP: many times as large.
    return !drawn || drawn.type === type ? drawn : await written(bitmap, width, height, "image/jpeg");
  } finally {
    bitmap.close();
  }
}

/**
 * Whether a canvas gives back what is drawn on it. A browser that hides its user's machine (Tor Browser, Firefox's
 * resistFingerprinting) gives noise, or white; others change a colour by a little, which nobody sees.
 */
function tells(context) {
  context.fillStyle = "#0c78c8";
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  context.clearRect(0, 0, 1, 1);
  return Math.abs(red - 12) + Math.abs(green - 120) + Math.abs(blue - 200) < 9;
}

async function written(bitmap, width, height, type) {
  const canvas =
    typeof OffscreenCanvas === "function"
      ? new OffscreenCanvas(width, height)
      : Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  if (!tells(context)) return undefined;
  context.imageSmoothingQuality = "high";
  if (type === "image/jpeg") {
    // It knows no transparency, and what is transparent would be black.
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(bitmap, 0, 0, width, height);
  if (canvas.convertToBlob) return canvas.convertToBlob({ type, quality: QUALITY });
  return new Promise((resolve, reject) => {
    const done = (blob) => (blob ? resolve(blob) : reject(new Error("the canvas gave no picture")));
    canvas.toBlob(done, type, QUALITY);
  });
}
