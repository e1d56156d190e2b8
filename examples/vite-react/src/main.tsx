import { createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";

// Vite's dev server serves sw.ts by its own name; the build makes sw.js of it.
const script = import.meta.env.DEV ? "/sw.ts" : "/sw.js";
const serviceWorker = await navigator.serviceWorker.register(script, { type: "module" });
const app = createElement(App, { serviceWorker });
createRoot(document.querySelector("#root") as Element).render(createElement(StrictMode, null, app));
