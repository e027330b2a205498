/**
 * Stable-SPAM (Huang et al. 2025, arXiv 2502.17055): before its rule sees it, the gradient of a matrix
 * loses its spikes and is brought to the usual norm (kernels/optim/stable_spam.ts), and from time to
 * time its moments are reset, so that no spike stays in them (SPAM, arXiv 2501.06842). As in the
 * authors' code γ1 = 0.7, γ2 = 0.9 and γ3 = 0.999, and a reset drops the moments of the steps before
 * each multiple of 1,000 by default. That code restarts the bias correction of the running means with
 * the moments, though the means continue, which puts the threshold out of reach; here these count all
 * steps. It takes every parameter, here the matrices of attention and feed-forward alone. Its `total_T`,
 * off by default, which lowers γ1 and β1 along a cosine, is not here.
 */
import type { Allocator } from "../gpu/allocator.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { STABLE_SPAM, type StableSpam } from "../kernels/optim/stable_spam.ts";
import { createScratch, type RuleState } from "./rules/rule.ts";

/** Scratch memory that matrices share. */
export type StableSpamScratch = StableSpam["scratch"];

export function createStableSpamState(allocator: Allocator, name: string): Tensor {
  return allocator.tensor({
    name: `${name}.stable_spam`,
    shape: [STABLE_SPAM.state],
    dtype: "float32",
    purpose: "optimizer_state",
  });
}

export function createStableSpamScratch(allocator: Allocator): StableSpamScratch {
  const { parts, figures } = STABLE_SPAM;
  return createScratch(allocator, "stable_spam", { parts, figures, factor: 1 });
}

/** Steps that moments hold at a step, from 1, if they are reset at each multiple of `every`. */
export function sinceReset(step: number, every: number): number {
  return every > 0 && step >= every ? step % every + 1 : step;
}

/** As they were allocated. */
export function resetMoments(pass: KernelPass, state: RuleState): void {
  for (const tensor of Object.values(state)) if (tensor) pass.clear(tensor);
}
