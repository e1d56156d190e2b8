import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// A service worker rules over the folder it lies in, and is found again by its name: no hash in it, and no folder.
const entryFileNames = ({ name }: { name: string }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js");

export default defineConfig({
  plugins: [react()],
  build: { rollupOptions: { input: { index: "index.html", sw: "sw.ts" }, output: { entryFileNames } } },
});
