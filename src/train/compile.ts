/**
 * The kernels of a run, to be compiled before its first step, so that no step waits for a compiler,
 * and people see what takes so long. Found by recording a step without taking it.
 */
import type { Gpu } from "../gpu/gpu.ts";
import { type Dispatch, KernelPass, rehearse } from "../gpu/pass.ts";
import { recordLoss } from "../inference/perplexity.ts";
import type { Batch } from "../model/batch.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import type { Training } from "./build.ts";
import { openStep } from "./open_step.ts";

/**
 * A dispatch for each pipeline that steps of these batches and evaluations need, whatever subspaces
 * they refresh, and that is not compiled yet. No step is taken, and no state changes.
 */
export function kernelsOf(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  rates: OptimizerRates,
): Dispatch[] {
  const { optimizer, model, losses: out } = training;
  const before = structuredClone(optimizer.refreshes.lazy);
  const recordStep = () => {
    const options = { step: 1, lr: 0, rates, lossIndex: 0 };
    const { begin, applyAll, addGiven } = openStep(gpu, training, batches, options);
    for (const index of new Set([0, batches.length - 1])) begin(index);
    if (!optimizer.keeps || optimizer.goesByGroups) return;
    applyAll();
    if (optimizer.shape.shares) addGiven();
  };
  try {
    return rehearse(gpu, () => {
      // Step 1 refreshes every subspace: from random vectors, unless resumed, and then from a basis.
      recordStep();
      recordStep();
      const restarting = new KernelPass(gpu);
      optimizer.restarts?.record(restarting, { step: 1, rates });
      restarting.submit();
      for (const accumulate of [false, true]) {
        const pass = new KernelPass(gpu), loss = { out, index: 0, accumulate };
        recordLoss(pass, model, training, batches[0], loss);
        pass.submit();
      }
    });
  } finally {
    optimizer.refreshes.cancel();
    optimizer.refreshes.restoreLazy(before);
  }
}
