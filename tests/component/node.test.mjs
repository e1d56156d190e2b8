// The components in Node, as jco translates them.
import { fileURLToPath } from "node:url";
import { testLibrary } from "./behaviour.mjs";
import { runProgram, testCommand } from "./command.mjs";
import { startGuest } from "./guest.mjs";

// What stands in for WASI there sends a request to its end, whoever still waits for it.
testLibrary(startGuest, { endsRequests: false });

const SCRIPT = fileURLToPath(new URL("command.node.mjs", import.meta.url));
testCommand((folder, env) => runProgram(process.execPath, [SCRIPT, folder], env), 10);
