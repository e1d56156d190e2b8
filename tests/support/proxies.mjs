// How stores of page frameworks hold an object, by the real ones: `wrap[name](object)` is what an application gets back.
// Runs in Node and, bundled, in pages.
import { reactive, readonly, ref } from "@vue/reactivity";
import { observable } from "mobx";
import { proxy, snapshot } from "valtio/vanilla";

export const wrap = {
  "Vue's ref": (object) => ref(object).value,
  "Vue's reactive": (object) => reactive({ object }).object,
  "Vue's readonly": (object) => readonly({ object }).object,
  "MobX's observable": (object) => observable({ object }).object,
  "MobX's box": (object) => observable.box(object).get(),
  "Valtio's proxy": (object) => proxy({ object }).object,
  "Valtio's snapshot": (object) => snapshot(proxy({ object })).object,
  "a plain Proxy": (object) => new Proxy(object, {}),
  "a copy": (object) => ({ ...object }),
};
