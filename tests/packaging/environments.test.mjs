// Every environment. `make package-test`; the short form is tests/package/installed.test.mjs.
import { environments, testEnvironments } from "./environments.mjs";

testEnvironments(Object.keys(environments));
