/**
 * What the driver is asked for when buffers of given sizes are created, which is more than their
 * sizes: Deno's WebGPU divides large blocks of memory among small buffers, and a block is taken
 * whole. Read in the sources of what Deno 2.9.6 contains:
 *
 * - Vulkan and Direct3D 12: gpu-allocator 0.28 (`vulkan/mod.rs`, `MemoryType::allocate`;
 *   `free_list_allocator`). A buffer larger than a block has memory of its own; any other goes to the
 *   newest block with room for it, or to a new one. wgpu-hal 29.0.3 sets the sizes of blocks
 *   (`AllocationSizes::from_memory_hints`, for the `MemoryHints::Performance` that Deno asks for):
 *   128 MiB for the first block of the card's memory and 256 MiB for each after it, or 64 and 128
 *   MiB where the processor sees the same memory.
 * - Metal: a buffer is an allocation (wgpu-hal, `metal/device.rs`), in pages of 16 KiB.
 *
 * Creating a buffer fails when it would exceed 97% of the memory that the driver grants the process,
 * and the device is lost above 99% (Deno's `ext/webgpu/lib.rs`).
 *
 * @module
 */

/** How a driver's memory is divided. */
export interface DriverMemory {
  /** Bytes of the first block, and of each after it; absent where a buffer is an allocation. */
  readonly blocks?: readonly [first: number, later: number];
  /** A buffer begins at a multiple of this, and takes a multiple of it. */
  readonly alignment: number;
}

const MIB = 2 ** 20;

/**
 * By what divides it. Vulkan's alignment is that of storage buffers, the largest of common drivers;
 * Direct3D's is its `D3D12_DEFAULT_RESOURCE_PLACEMENT_ALIGNMENT`.
 */
export const DRIVER_MEMORY = {
  vulkan: { blocks: [128 * MIB, 256 * MIB], alignment: 256 },
  /** Where the processor's memory is the card's. */
  vulkanShared: { blocks: [64 * MIB, 128 * MIB], alignment: 256 },
  direct3d12: { blocks: [128 * MIB, 256 * MIB], alignment: 65_536 },
  metal: { alignment: 16_384 },
  /** A software adapter's blocks are pages of the process, taken when they are written to. */
  software: { alignment: 1 },
} as const satisfies Record<string, DriverMemory>;

const SYSTEM = ("Deno" in globalThis) ? Deno.build.os : "linux";

/**
 * How the memory of an adapter is divided. WebGPU tells neither the backend, which is taken to be the
 * system's own, nor whether the processor's memory is the card's.
 *
 * @param system the operating system's name, as Deno has it
 */
export function driverMemoryOf(
  { software }: { readonly software: boolean },
  system: string = SYSTEM,
): DriverMemory {
  if (software) return DRIVER_MEMORY.software;
  if (system === "darwin") return DRIVER_MEMORY.metal;
  return system === "windows" ? DRIVER_MEMORY.direct3d12 : DRIVER_MEMORY.vulkan;
}

/** Zeros that wgpu keeps for clearing others, in the first block (`ZERO_BUFFER_SIZE`). */
const ZEROS = 512 * 1024;

/**
 * The order in which buffers leave the least of their blocks unused (first-fit decreasing: Johnson
 * 1973). Two buffers of 130 MiB do not share a block, but small ones fill what each leaves.
 */
export function largestFirst<Sized extends { readonly bytes: number }>(
  buffers: readonly Sized[],
): Sized[] {
  return buffers.toSorted((a, b) => b.bytes - a.bytes);
}

/**
 * Bytes that the driver is asked for by buffers of these sizes, created in this order on an open
 * device, whose first block is there from the start.
 */
export function driverBytes(sizes: Iterable<number>, { blocks, alignment }: DriverMemory): number {
  const [first, later] = blocks ?? [0, 0];
  let total: number = first;
  /** Bytes left in each block, the newest last. */
  let left = first > 0 ? [first - ZEROS] : [];
  for (const size of sizes) {
    const bytes = Math.ceil(size / alignment) * alignment;
    if (bytes > later) {
      total += bytes;
      continue;
    }
    let at = left.findLastIndex((free) => free >= bytes);
    if (at < 0) {
      total += later;
      at = left.push(later) - 1;
    }
    left[at] -= bytes;
    if (left[at] < alignment) left = left.filter((free) => free >= alignment);
  }
  return total;
}
