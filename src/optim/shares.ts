/**
 * Which of several processes keeps which optimizer state (ZeRO, Rajbhandari et al. 2019, arXiv
 * 1910.02054, its first two stages): that of a parameter lies whole at one of them, its keeper, which
 * alone applies the rule. What the others take of it, by which of the two has fewer bytes:
 *
 *   the update N, as the rule gives it, low-rank where projected; each adds it to its weight itself
 *   the updated weight, as it is stored
 *
 * Where a weight lies with its keeper as well, the others take nothing until they gather it.
 */
import type { Tensor } from "../gpu/tensor.ts";
import type { ParameterState } from "./parameter_state.ts";

/** Processes that share the states of an optimizer. */
export interface Shares {
  /** Processes. */
  readonly count: number;
  /** That whose memory this is; in a plan that with the most, by default. */
  readonly own?: number;
  /** Whether they share the weights of layers as well. */
  readonly weights?: boolean;
}

/** What is shared, if anything, where these options say so. */
export function sharesOf(
  { shardStates, shardWeights }: { readonly shardStates: boolean; readonly shardWeights: boolean },
  of: Shares,
): Shares | undefined {
  return shardWeights ? { ...of, weights: true } : shardStates ? of : undefined;
}

/** What the others are given once its keeper has applied a gradient: see above. */
export function givenOf(
  { parameter: { weight, keeper }, accumulated }: ParameterState,
): { readonly isUpdate: boolean; readonly tensors: readonly Tensor[] } {
  // It is gathered when its layer runs.
  if (keeper !== undefined) return { isUpdate: false, tensors: [] };
  const stored = weight.constants ? [weight, weight.constants] : [weight];
  const bytes = stored.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return accumulated!.byteLength <= bytes
    ? { isUpdate: true, tensors: [accumulated!] }
    : { isUpdate: false, tensors: stored };
}
