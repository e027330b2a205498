/** SVG to pixels, in WebAssembly: no native library, so no permission. */
export { initWasm, Resvg } from "npm:@resvg/resvg-wasm@^2.6.2";
export { default as resvgModule } from "./resvg_module.js";
