// The package in Firefox: no Background Sync, another IndexedDB, another XMLHttpRequest, another WebAssembly.
import { startFirefox } from "../support/firefox.mjs";
import { testLibrary } from "../support/library.mjs";

testLibrary(startFirefox);
