/**
 * What a run minimises. An objective turns a batch into a loss and gradients; it is independent of
 * where batches come from and of what happens to the gradients. Recipes use cross-entropy unless a
 * library user supplies another.
 *
 * @example Rare bytes count more
 * ```ts
 * import { Gpu, pretrainRecipe, Trainer, weightedCrossEntropy } from "@deno-galore/trainer";
 *
 * const data = "examples/data/tinyshakespeare.txt", frequency = new Float32Array(257);
 * for (const byte of await Deno.readFile(data)) frequency[byte]++;
 * const objective = weightedCrossEntropy("rare_bytes", ({ targets }) =>
 *   Float32Array.from(targets, (id) => id < 0 ? 0 : 1 / Math.max(1, frequency[id])));
 *
 * using gpu = await Gpu.open();
 * const recipe = await pretrainRecipe({ model: "llama_nano", data, output: "runs/rare" });
 * const trainer = await Trainer.open(gpu, { ...recipe, objective });
 * ```
 *
 * @module
 */
import type { Allocator } from "../gpu/allocator.ts";
import { UserError } from "../options/user_error.ts";
import { ShapeError } from "../numbers/shape_error.ts";
import type { KernelPass } from "../gpu/pass.ts";
import { packTensor } from "../numbers/plain.ts";
import type { Batch } from "../model/batch.ts";
import type { LlamaConfig } from "../model/config.ts";
import type { HeadOutput } from "../model/head.ts";
import { forwardAndBack, type PassBuffers } from "../model/pass.ts";

/** Destinations of the loss and the gradients of a micro-batch; the objective adds any weights. */
export type LossOutputs = Omit<HeadOutput, "weights">;

/** Submits the forward and backward pass of a micro-batch: loss to `loss`, gradients to `sink`. */
export type SubmitLoss = (
  pass: KernelPass,
  buffers: PassBuffers,
  batch: Batch,
  output: LossOutputs,
) => void;

/** What a run minimises; {@link weightedCrossEntropy} makes one. */
export interface Objective {
  /** A checkpoint can only be resumed with an objective of the same name. */
  readonly name: string;
  /** Divisor of a batch's loss sum in a step's mean; the number of its targets if absent. */
  divisor?(batch: Batch): number;
  /**
   * Allocates what the objective needs besides the model, for batches of `tokens` = B·T, and
   * returns the function that submits a batch. Also called with an allocator that only counts, for
   * the memory plan.
   */
  build(
    allocator: Allocator,
    sizes: { readonly config: LlamaConfig; readonly tokens: number },
  ): SubmitLoss;
}

/** The mean over all targets of −log p(target), in nats. */
export const crossEntropyObjective: Objective = {
  name: "cross_entropy",
  build: () => forwardAndBack,
};

/**
 * Σ w·(−log p(target)) / Σ w. `weigh` returns a weight for each of the (B·T) targets of a batch;
 * those of ignored targets do not count. The weights use 4 bytes of GPU memory per token. A step
 * whose weights are all 0 is a {@link UserError}, as is a weight that is negative or not finite.
 */
export function weightedCrossEntropy(
  name: string,
  weigh: (batch: Batch) => Float32Array,
): Objective {
  const weighed = (batch: Batch) => {
    const weights = weigh(batch), { length } = batch.targets;
    if (weights.length === length) return weights;
    throw new ShapeError(
      `objective ${name}: weights must be one for each of ${length} targets, got ${weights.length}`,
    );
  };
  const weightOf = (weights: Float32Array, n: number) => {
    if (weights[n] >= 0 && weights[n] < Infinity) return weights[n];
    throw new UserError(
      `objective ${name}: a weight must be finite and at least 0, got ${
        weights[n]
      } for target ${n}`,
    );
  };
  return {
    name,
    divisor: (batch) => {
      const weights = weighed(batch);
      return batch.targets.reduce(
        (sum, target, n) => target < 0 ? sum : sum + weightOf(weights, n),
        0,
      );
    },
    build(allocator, { tokens }) {
      const weights = allocator.tensor({
        name: "loss_weights",
        shape: [tokens],
        dtype: "float32",
        purpose: "activations",
      });
      return (pass, buffers, batch, output) => {
        const values = weighed(batch);
        pass.gpu.write(weights, packTensor(weights, values));
        forwardAndBack(pass, buffers, batch, { ...output, weights });
      };
    },
  };
}
