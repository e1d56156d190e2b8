// The doctor is loaded when it is asked, and not before: no page pays for it.

/** @param {import("./index.d.ts").ProjectOptions} options */
export const checkProject = async (options) => (await import("./doctor/index.js")).checkProject(options);
