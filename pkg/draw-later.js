// Draws small pictures by code that is loaded for the first one.

/** @type {typeof import("./thumbnail.js").draw} */
export const draw = async (...given) => (await import("./thumbnail.js")).draw(...given);
