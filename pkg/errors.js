// Errors that this side makes, in the form of those that the WebAssembly makes.

/** @param {unknown} error */
export const isImagenCloudError = (error) => error instanceof Error && error.name === "ImagenCloudError";

/** Rejections are made by the WebAssembly, also by another copy of it: they are known by their name. */
export class ImagenCloudError extends Error {
  static [Symbol.hasInstance](error) {
    return isImagenCloudError(error);
  }
}

/**
 * @param {string} stage
 * @param {string} code
 * @param {string} message
 * @param {{ retryable?: boolean, field?: string, cause?: unknown }} [details]
 */
export function failed(stage, code, message, { cause, retryable = false, ...details } = {}) {
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { name: "ImagenCloudError", stage, code, ...details, retryable, attempts: 0 });
}
