/** The compiled resvg. */
declare const module: WebAssembly.Module;
export default module;
