// Errors that this side makes, by what makes those of the WebAssembly.
import { failure } from "./wasm/errors.js";

export { ImagenCloudError, isImagenCloudError } from "./wasm/errors.js";

/**
 * @param {string} stage
 * @param {string} code
 * @param {string} message
 * @param {{ retryable?: boolean, attempts?: number, field?: string, cause?: unknown }} [details]
 */
export function failed(stage, code, message, { cause, ...details } = {}) {
  return failure({ message, stage, code, attempts: 0, retryable: false, ...details }, cause);
}
