/** How much memory the GPU may be asked for. */
import type { Capabilities } from "../gpu/capabilities.ts";

/**
 * Bytes: what the user said, in GiB; else, where the "GPU" is the processor, the free memory of the
 * machine. WebGPU tells nobody how much memory a card has: there, a run that was not given a limit
 * is refused by its first allocation that fails.
 */
export function gpuMemoryLimit(
  { capabilities }: { readonly capabilities: Pick<Capabilities, "software"> },
  gibibytes: number | undefined,
): number {
  if (gibibytes !== undefined) return gibibytes * 2 ** 30;
  return capabilities.software ? Deno.systemMemoryInfo().available : Infinity;
}
