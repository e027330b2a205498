/**
 * WebGPU's bits, as its specification numbers them. Its own globals are missing in Node, and in
 * TypeScript's library for browsers.
 */
export const BUFFER_USAGE = {
  MAP_READ: 0x0001,
  COPY_SRC: 0x0004,
  COPY_DST: 0x0008,
  UNIFORM: 0x0040,
  STORAGE: 0x0080,
  QUERY_RESOLVE: 0x0200,
} as const;

export const TEXTURE_USAGE = { COPY_DST: 0x02, STORAGE_BINDING: 0x08 } as const;

export const MAP_MODE = { READ: 0x0001 } as const;

export const SHADER_STAGE = { COMPUTE: 0x4 } as const;
