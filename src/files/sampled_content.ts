/** A hash of a file's content, found without reading all of a large one. */
import { createHash } from "node:crypto";
import { FileRange } from "./file_range.ts";

/** Bytes of a sample, and how many are taken of a file that is larger than all of them. */
const SAMPLE_BYTES = 4096, SAMPLES = 5;

/**
 * A hash of evenly spaced samples, the first and the last bytes among them, or of a small file as a
 * whole. Times of files would change with a copy; hashing all of a large corpus takes minutes. What
 * this cannot notice is a change within a large file that keeps its size.
 */
export async function sampledContent(path: string, size: number): Promise<string> {
  const file = await FileRange.open(path), hash = createHash("sha256");
  try {
    if (size <= SAMPLES * SAMPLE_BYTES) hash.update(await file.read(0, size));
    else {
      for (let i = 0; i < SAMPLES; i++) {
        const start = Math.floor(i * (size - SAMPLE_BYTES) / (SAMPLES - 1));
        hash.update(await file.read(start, start + SAMPLE_BYTES));
      }
    }
  } finally {
    file.close();
  }
  return hash.digest("hex").slice(0, 12);
}
