// Names of objects that hold every character that Storage takes, each between letters and beside every other one.

/** All but letters, digits and the slash, which divides a name. */
export const MARKS = [..."_!.*'() &$@=;:+,?-"];

/** For each of the marks a name with it alone, and one with it before and behind every other one. */
export const LEGAL_NAMES = MARKS.flatMap((mark) => [
  `a${mark}b`,
  // Two dots in a row are taken by the real server, but not by @supabase/lite.
  MARKS.filter((other) => `${mark}${other}` !== "..")
    .map((other) => `${mark}${other}${mark}`)
    .join("x"),
  `folder${mark}/${mark === "." ? "" : mark}name`,
]);
