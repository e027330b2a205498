/** Types of what is used of `lz4js`; see std_assert.d.ts. */
declare module "lz4js" {
  /** Decompresses an LZ4 frame. */
  export function decompress(frame: Uint8Array): Uint8Array;
}
