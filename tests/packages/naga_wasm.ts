/** The WGSL compiler inside wgpu, and so inside Deno, whose own is a version older. */
export * from "npm:naga-wasm@^30.1.0";
