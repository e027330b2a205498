/**
 * Which of several processes keeps which optimizer state (ZeRO, Rajbhandari et al. 2019, arXiv
 * 1910.02054, its first two stages): that of a parameter lies whole at one of them, its keeper, which alone
 * applies the rule. What the others take of it, by which of the two has fewer bytes:
 *
 *   the update N, as the rule gives it, low-rank where projected; each adds it to its weight itself
 *   the updated weight, as it is stored
 */
import type { Tensor } from "../gpu/tensor.ts";
import type { ParameterState } from "./parameter_state.ts";

/** Processes that share the states of an optimizer. */
export interface Shares {
  /** Processes. */
  readonly count: number;
  /** That whose memory this is; in a plan that with the most, by default. */
  readonly own?: number;
}

/**
 * The keeper of each, so that all keep about as many bytes: the largest first, each to whoever has the
 * least so far. The first process has the most.
 */
export function dealOut(bytes: readonly number[], count: number): number[] {
  const loads = Array<number>(count).fill(0), keepers = Array<number>(bytes.length).fill(0);
  for (const index of [...bytes.keys()].sort((a, b) => bytes[b] - bytes[a] || a - b)) {
    const least = loads.indexOf(Math.min(...loads));
    keepers[index] = least;
    loads[least] += bytes[index];
  }
  const byLoad = [...loads.keys()].sort((a, b) => loads[b] - loads[a] || a - b);
  return keepers.map((keeper) => byLoad.indexOf(keeper));
}

/** What the others are given once its keeper has applied a gradient: see above. */
export function givenOf(
  { parameter: { weight }, accumulated }: ParameterState,
): { readonly isUpdate: boolean; readonly tensors: readonly Tensor[] } {
  const stored = weight.constants ? [weight, weight.constants] : [weight];
  const bytes = stored.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return accumulated!.byteLength <= bytes
    ? { isUpdate: true, tensors: [accumulated!] }
    : { isUpdate: false, tensors: stored };
}
