/** The compiled tokenizers, without imports. */
declare const module: WebAssembly.Module;
export default module;
