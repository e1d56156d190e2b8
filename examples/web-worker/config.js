// Of your project: both may be seen by everybody.
export const url = "http://127.0.0.1:54321";
export const apiKey = "sb_publishable_…";
