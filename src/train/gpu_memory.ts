/** How much GPU memory a run may allocate. */
import type { Capabilities } from "../gpu/capabilities.ts";

const GIB = 2 ** 30;
/** Memory of a card used by the driver and a display. */
export const RESERVED: number = GIB / 2;
/** What {@link runMemoryOfCard} leaves, for people. */
export const RESERVED_TEXT = "leaving 0.5 GB, or 3%, for driver and display";
/** The share of it from which on Deno creates no buffer; see gpu/driver_memory.ts. */
const GRANTED = 0.97;

/** Bytes of a card of that many GiB for a run: less what driver and display take. */
export function runMemoryOfCard(gibibytes: number): number {
  return Math.floor(Math.max(0, Math.min(gibibytes * GIB - RESERVED, GRANTED * gibibytes * GIB)));
}

/**
 * In bytes: the user's limit, given in GiB; otherwise, where the "GPU" is the processor, the free
 * memory of the machine. WebGPU does not report a card's memory: without a limit, a run that is too
 * large fails at an allocation.
 */
export function gpuMemoryLimit(
  { capabilities }: { readonly capabilities: Pick<Capabilities, "software"> },
  gibibytes: number | undefined,
): number {
  if (gibibytes !== undefined) return gibibytes * GIB;
  return capabilities.software ? Deno.systemMemoryInfo().available : Infinity;
}
