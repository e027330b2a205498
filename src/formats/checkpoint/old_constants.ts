/**
 * Constants of quantised tensors in checkpoints up to format 2: for each group a float32 pair of
 * scale and zero point. Readers get the words of today (numbers/group_constants.ts), half as long.
 */
import { packPairs } from "../../numbers/group_constants.ts";
import type { Manifest } from "./manifest.ts";

/** Bytes of what was written for each of a reader's: 2 where an entry holds pairs, otherwise 1. */
export function bytesPerByte({ format }: Manifest, name: string): 1 | 2 {
  return format <= 2 && name.endsWith(".constants") ? 2 : 1;
}

/** The words of whole pairs. */
export function wordsOfPairs({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>) {
  const pairs = new Float32Array(buffer.slice(byteOffset, byteOffset + length));
  return new Uint8Array(packPairs(pairs).buffer);
}
