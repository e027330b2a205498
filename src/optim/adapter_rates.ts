/**
 * LoRA+ (Hayou et al. 2024, arXiv 2402.12354, section 5): A and B of an adapter learn at different
 * rates. Which parameter has which is peft's `create_loraplus_optimizer`: B, and vectors, learn at
 * the multiple, both factors of an embedding at a rate of their own.
 */
import type { Parameter } from "../model/parameters.ts";
import type { OptimizerRates } from "./rates.ts";

/** peft's default peak rate of an adapter on the embedding. */
export const LORAPLUS_LR_EMBEDDING = 1e-6;

/** The learning rate of a parameter in a step whose rate is `lr`, of a schedule whose peak is `peak`. */
export function parameterRate(
  { kind, name }: Pick<Parameter, "kind" | "name">,
  { lr, peak = lr, rates }: {
    readonly lr: number;
    readonly peak?: number;
    readonly rates: OptimizerRates;
  },
): number {
  const { loraplusLrRatio: ratio = 1, loraplusLrEmbedding = LORAPLUS_LR_EMBEDDING } = rates;
  if (ratio === 1 || kind !== "adapter") return lr;
  if (name.includes(".lora_embedding_")) return lr && loraplusLrEmbedding * (lr / peak);
  return name.endsWith(".lora_A.weight") ? lr : ratio * lr;
}
