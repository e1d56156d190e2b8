// Runs the component of the world `command` in Node: `node command.node.mjs FOLDER`, with its variables. FOLDER is all that it
// sees of this machine, as `images`.
import {
  _setArgs,
  _setEnv,
} from "../../target/component/node_modules/@bytecodealliance/preview2-shim/dist/nodejs/cli.js";
import { _setPreopens } from "../../target/component/node_modules/@bytecodealliance/preview2-shim/dist/nodejs/filesystem.js";

const [, , folder] = process.argv;
_setArgs(["command", "images"]);
_setEnv(process.env);
_setPreopens({ images: folder });
const { run } = await import("../../target/component/command/command.js");
try {
  run.run();
} catch (error) {
  if (error?.payload !== undefined || error?.exitError) process.exitCode = 1;
  else throw error;
}
