/** Types of what is used of `lz4js`: the package has none. */

/** Decompresses an LZ4 frame. */
export declare function decompress(frame: Uint8Array): Uint8Array;
