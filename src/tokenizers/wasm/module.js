// @ts-self-types="./module.d.ts"
// JavaScript, because TypeScript does not parse `import source` yet. It compiles the module without
// instantiating it, and needs no permission.
import source module from "./tokenizers.wasm";
export default module;
