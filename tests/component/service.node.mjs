// Serves the example in Node: `node service.node.mjs SCRIPT`, what jco has made of it, with its variables. Prints the port.
import { _setEnv } from "../../target/component/node_modules/@bytecodealliance/preview2-shim/dist/nodejs/cli.js";
import { HTTPServer } from "../../target/component/node_modules/@bytecodealliance/preview2-shim/dist/nodejs/http.js";

_setEnv(process.env);
const { incomingHandler } = await import(process.argv[2]);
const server = new HTTPServer(incomingHandler);
server.listen(0, "127.0.0.1");
console.log(server.address().port);
