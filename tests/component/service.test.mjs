// The example in Rust, compiled against the WIT as it is, and linked with the library as two modules of JavaScript.
// `make package-test` puts the two together in earnest, which takes what compiles for half a minute.
import { fileURLToPath } from "node:url";
import { compileService, testService } from "./service.mjs";
import { translate } from "./translate.mjs";

const folder = fileURLToPath(new URL("../../target/component/service", import.meta.url));

testService(async () => {
  await translate(await compileService(), "service", folder, {
    "imagen:cloud/sinks@0.1.0": "../library/library.js#sinks",
  });
  return `${folder}/service.js`;
});
