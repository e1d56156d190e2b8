// The package in Safari's engine: no Background Sync, no `persist`, another IndexedDB, another XMLHttpRequest.

import { testLibrary } from "../support/library.mjs";
import { startWebkit } from "../support/webkit.mjs";

testLibrary(startWebkit);
