/** What one optimizer step submits: the micro-batches' passes, with fused updates, or updates after them. */
import type { Gpu } from "../gpu/gpu.ts";
import { KernelPass } from "../gpu/pass.ts";
import type { Profiler } from "../gpu/profiler.ts";
import type { Activations } from "../model/activations.ts";
import type { Batch } from "../model/batch.ts";
import type { EmbeddingNoise } from "../model/llama.ts";
import { columnsOf } from "../numbers/layout.ts";
import type { ParameterState } from "../optim/parameter_state.ts";
import type { OptimizerRates } from "../optim/rates.ts";
import { UserError } from "../options/user_error.ts";
import { ALONE, type Ranks } from "../parallel/ranks.ts";
import type { Training } from "./build.ts";
import type { Exchange } from "./exchange.ts";
import { gathering, groupWork } from "./exchanges_within.ts";
import { StepSum } from "./step_sum.ts";

export interface StepOptions {
  /** From 1. */
  readonly step: number;
  readonly lr: number;
  /** The highest rate of the schedule; `lr` by default. */
  readonly peak?: number;
  readonly rates: OptimizerRates;
  /**
   * Element of `training.losses` that receives the sum of the losses, in nats; below
   * {@link LOSS_RING} that of `training.gradientSquares`, too.
   */
  readonly lossIndex: number;
  readonly profiler?: Profiler;
  /** The ranks to which its batches are dealt out; by default all of them are taken here. */
  readonly ranks?: Pick<Ranks, "rank" | "size">;
  /** With which they exchange its gradients, which must be kept; otherwise each trains by itself. */
  readonly exchange?: Exchange;
}

/** What a step submits, in this order. */
export interface OpenStep {
  /** Micro-batches of this process. */
  readonly count: number;
  readonly begin: (microBatch: number) => void;
  /** Where gradients are kept: their updates; where processes share the states those of its own. */
  readonly applyAll: () => void;
  /** Then those of the others. */
  readonly addGiven: () => void;
  /** Of its loss sum. */
  readonly divisor: number;
  /** With an exchange: that of its gradients. */
  readonly sum?: StepSum;
}

/** Begins a step, of which nothing is submitted yet. */
export function openStep(
  gpu: Gpu,
  training: Training,
  batches: readonly Batch[],
  { step, lr, peak, rates, lossIndex, profiler, ranks, exchange }: StepOptions,
): OpenStep {
  const { model, optimizer, losses, gradientSquares: out, objective, submit } = training;
  const { rank, size } = ranks ?? ALONE;
  const norm = out && { out, index: lossIndex };
  const pass = new KernelPass(gpu, profiler), refreshed = exchange && rank > 0;
  const { shares } = optimizer.shape;
  const groups = optimizer.goesByGroups || shares?.weights
    ? groupWork(pass, optimizer, exchange)
    : undefined;
  const sum = exchange && new StepSum(pass, training, exchange, lossIndex);
  const added = sum && ((state: ParameterState) => sum.add(state));
  optimizer.beginStep({ step, lr, peak, rates, norm, refreshed, groups, added });
  const own = batches.filter((_, index) => index % size === rank);
  // One mean over all targets of the step, however they are split into micro-batches.
  const divisor = (exchange ? batches : own).reduce(
    (sum, batch) => sum + (objective.divisor?.(batch) ?? batch.tokens),
    0,
  );
  if (objective.divisor && !(divisor > 0 && divisor < Infinity)) {
    throw new UserError(
      `step ${step}: the weights of objective ${objective.name} sum to ${divisor} over all targets, ` +
        "so nothing would be learned",
      "weights must be finite, at least 0, and above 0 for some target of each step",
    );
  }
  const gradScale = divisor ? 1 / divisor : 1;
  const count = own.length;
  // The subspaces that the first micro-batch chooses travel before any gradient.
  const sumsWithin = !groups && (count > 1 || !exchange?.gives(optimizer.refreshes.now));
  const begin = (index: number) => {
    optimizer.beginMicroBatch(index);
    const at = { step, rates }, { restarts } = optimizer;
    if (index === 0 && restarts?.isDue(at)) restarts.record(pass, at);
    // Each micro-batch gets its own dropout mask and noise; evaluations have none.
    const place = rank + index * size, batch = own[index];
    const key = { seed: rates.seed, step: (step - 1) * batches.length + place };
    if (model.lora) model.lora.key = key;
    model.noise = embeddingNoise(rates, training.activations, batch, key);
    const loss = { out: losses, index: lossIndex, accumulate: index > 0 };
    if (exchange && shares?.weights) model.gather = gathering(optimizer, exchange);
    const record = () => submit(pass, training, batch, { sink: optimizer, loss, gradScale });
    if (sum && sumsWithin && index === count - 1) sum.within(record);
    else record();
    model.gather = undefined;
    optimizer.endMicroBatch();
    if (model.lora) model.lora.key = undefined;
    model.noise = undefined;
    if (index < count - 1) return;
    optimizer.finish(pass);
    pass.submit();
  };
  const applyAll = () => {
    optimizer.applyAll(pass);
    pass.submit();
  };
  const addGiven = () => {
    optimizer.addGiven(pass);
    pass.submit();
  };
  return { count, begin, applyAll, addGiven, divisor, sum };
}

/**
 * NEFTune's noise in a micro-batch, if any: uniform up to α/√(L·C) in each element of an embedded
 * token (Jain et al. 2023, arXiv 2310.05914, algorithm 1). L is the length that rows are padded to,
 * as transformers counts it; a row that several examples are packed into has T.
 */
function embeddingNoise(
  { neftuneNoiseAlpha: alpha = 0 }: OptimizerRates,
  { length, residual: [embedded] }: Activations,
  { longest = length }: Batch,
  key: { readonly seed: number; readonly step: number },
): EmbeddingNoise | undefined {
  if (!alpha) return undefined;
  return { ...key, bound: alpha / Math.sqrt(longest * columnsOf(embedded.shape)) };
}
