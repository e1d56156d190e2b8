// The component in Node, as jco translates it.
import { testLibrary } from "./behaviour.mjs";
import { startGuest } from "./guest.mjs";

// What stands in for WASI there sends a request to its end, whoever still waits for it.
testLibrary(startGuest, { endsRequests: false });
