/** How much GPU memory a run may allocate. */
import type { Capabilities } from "../gpu/capabilities.ts";

/**
 * In bytes: the user's limit, given in GiB; otherwise, where the "GPU" is the processor, the free
 * memory of the machine. WebGPU does not report a card's memory: without a limit, a run that is too
 * large fails at an allocation.
 */
export function gpuMemoryLimit(
  { capabilities }: { readonly capabilities: Pick<Capabilities, "software"> },
  gibibytes: number | undefined,
): number {
  if (gibibytes !== undefined) return gibibytes * 2 ** 30;
  return capabilities.software ? Deno.systemMemoryInfo().available : Infinity;
}
