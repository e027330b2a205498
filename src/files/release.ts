/**
 * Gives memory back to the system at once. V8 collects an array's memory when some 64 MB more of it
 * have been made, which a save or a load of any model would keep as garbage, and after a save the
 * steps of hours.
 */

/** Frees the memory behind an array; it and whatever else views it are empty from then on. */
export function release({ buffer }: ArrayBufferView<ArrayBuffer>): void {
  if (!buffer.detached) buffer.transfer(0);
}
