// @ts-self-types="./resvg_module.d.ts"
// JavaScript, because TypeScript does not parse `import source` yet.
import source module from "npm:@resvg/resvg-wasm@^2.6.2/index_bg.wasm";
export default module;
