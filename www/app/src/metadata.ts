// A file of its own in the build, which is loaded with the first file that somebody chooses.
export { readMetadata } from "imagen-cloud/metadata";
