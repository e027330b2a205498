/** Buffers of tensors to come, created ahead in the order that wastes least of a driver's blocks. */
import type { PlannedMemory } from "./allocator.ts";
import { largestFirst } from "./driver_memory.ts";

export class ReservedBuffers {
  /** By size and name. */
  readonly #buffers = new Map<string, GPUBuffer[]>();
  #bytes = 0;

  /** Bytes that are not taken yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Creates those of up to `most` bytes. */
  create(
    planned: readonly PlannedMemory[],
    most: number,
    make: (name: string, bytes: number) => GPUBuffer,
  ): void {
    for (const { name, bytes, texture } of largestFirst(planned)) {
      if (texture || bytes > most) continue;
      const key = `${bytes} ${name}`, buffer = make(name, bytes);
      this.#buffers.set(key, [...this.#buffers.get(key) ?? [], buffer]);
      this.#bytes += bytes;
    }
  }

  take(name: string, bytes: number): GPUBuffer | undefined {
    const buffer = this.#buffers.get(`${bytes} ${name}`)?.shift();
    if (buffer) this.#bytes -= bytes;
    return buffer;
  }

  /** Destroys those that were not taken. */
  giveBack(): void {
    for (const buffers of this.#buffers.values()) for (const buffer of buffers) buffer.destroy();
    this.#buffers.clear();
    this.#bytes = 0;
  }
}
