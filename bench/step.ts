/** A training step, in total and by phase, and tokens per second. */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { Profiler } from "../src/gpu/profiler.ts";
import { Scope } from "../src/gpu/scope.ts";
import { rowRange, viewAs } from "../src/gpu/tensor.ts";
import { applyUpdate } from "../src/kernels/optim/apply_update.ts";
import { backward } from "../src/model/backward.ts";
import { type LlamaConfig, type PresetName, PRESETS } from "../src/model/config.ts";
import { projectionShapes } from "../src/model/description.ts";
import { forward } from "../src/model/forward.ts";
import { blocksOf, type GradientSink } from "../src/model/gradients.ts";
import { finalNorm, headLossAndGradients } from "../src/model/head.ts";
import type { OptimizerStep } from "../src/optim/optimizer.ts";
import { updateBlocks } from "../src/optim/gradient_blocks.ts";
import type { ParameterState } from "../src/optim/parameter_state.ts";
import { projectBack, type Projector } from "../src/optim/projector.ts";
import { refreshSubspace } from "../src/optim/subspace.ts";
import { buildTraining, type Training } from "../src/train/build.ts";
import { trainingShape } from "../src/train/method.ts";
import { memoryOptions } from "../src/train/memory_options.ts";
import type { StepOptions } from "../src/train/open_step.ts";
import { RecordedStep } from "../src/train/step.ts";
import { prepare, someBatch, usualRates } from "../src/train/untrained.ts";
import { createPeaks } from "./peak.ts";
import type { Recorded, Stopwatch } from "./timing.ts";

export interface StepResult {
  readonly name: string;
  readonly shape: string;
  readonly step_ms: number;
  readonly tokens_per_second: number;
  /** Of the operations that no step can do without, see {@link stepOperations}. */
  readonly gflops: number;
  /** Fraction of the adapter's peak of multiply-adds, measured alternately with it. */
  readonly share_of_peak: number;
  /** Of a step of 4,096 tokens, see {@link optimizerShare}. */
  readonly optimizer_share: number;
  /** Milliseconds of each phase by itself; `refresh` refreshes every subspace. */
  readonly phases: Readonly<Record<string, number>>;
  /** Milliseconds of the step's kernels by the GPU's clock, where that is reliable. */
  readonly kernels?: Readonly<Record<string, number>>;
}

const usualStep = (): Omit<OptimizerStep, "step"> => ({ lr: 1e-4, rates: usualRates() });

/** Tokens of the step of which Q-GaLore's own work is given as a share. */
const LARGE_STEP = 4096;

/** What is timed: a preset, sequences, and tokens of each. */
export type SizedStep = readonly [model: PresetName, batchSize: number, seqLen: number];

/**
 * The demo's model on a processor, and llama_60m unless it must be `quick`; a large batch of
 * llama_60m on a card.
 */
export function benchSteps(gpu: Gpu, quick: boolean): SizedStep[] {
  if (!gpu.capabilities.software) return [["llama_60m", 16, 256]];
  return [["llama_nano", 8, 128], ...(quick ? [] : [["llama_60m", 4, 256] as const])];
}

/** A Q-GaLore step with default options. */
export async function benchStep(
  watch: Stopwatch,
  [model, batchSize, seqLen]: SizedStep,
): Promise<StepResult> {
  const { gpu } = watch;
  using scope = new Scope(gpu);
  const config: LlamaConfig = PRESETS[model];
  const options = memoryOptions.parse({ model, batchSize, seqLen });
  const training = buildTraining(scope, config, trainingShape(options, config), gpu.capabilities);
  prepare(gpu, training);
  const tokens = batchSize * seqLen, batch = someBatch(tokens, config.vocabSize);
  const usual = { ...usualStep(), lossIndex: 0 };
  const take = async (given: Pick<StepOptions, "step" | "profiler">) => {
    await new RecordedStep(gpu, training, [batch], { ...usual, ...given }).give();
  };
  const step = (profiler?: Profiler) => take({ step: 2, profiler });

  await take({ step: 1 }); // compiles and refreshes
  const similarities = await gpu.read(training.optimizer.scratch.similarities);
  training.optimizer.refreshes.record(new Float32Array(similarities.buffer));
  const { arithmetic, release } = createPeaks(gpu);
  const parts = phasesOf(training);
  const [step_ms, peak_ms, ...phaseMs] = await watch.milliseconds(
    watch.submitted(() => step()),
    watch.recorded(arithmetic.record),
    ...Object.values(parts).map((record) =>
      watch.submitted(() => {
        const pass = new KernelPass(gpu);
        record(pass);
        pass.submit();
      })
    ),
  );
  release();
  const phases = Object.fromEntries(Object.keys(parts).map((name, i) => [name, phaseMs[i]]));
  const operations = stepOperations(config, batchSize, seqLen) -
    operationsSaved(training.optimizer.states);
  const rate = operations / step_ms;
  return {
    name: "step",
    shape: `${model} ${batchSize} x ${seqLen}`,
    step_ms,
    tokens_per_second: (1000 * tokens) / step_ms,
    gflops: rate / 1e6,
    share_of_peak: rate / (arithmetic.amount / peak_ms),
    optimizer_share: optimizerShare(phases, step_ms, tokens),
    phases,
    kernels: gpu.capabilities.software ? undefined : await kernelTimes(gpu, step),
  };
}

/**
 * Operations that a step cannot do without, a multiply-add as two: each matrix's three products, and
 * of every visible pair of a query and a key two products forward, four backward. The optimizer's
 * own, and what is computed again, are not among them (Chowdhery et al. 2022, appendix B).
 */
export function stepOperations(config: LlamaConfig, batchSize: number, seqLen: number): number {
  const { layers, heads, headSize, vocabSize, hiddenSize } = config;
  const layer = projectionShapes(config).reduce((sum, [out, inner]) => sum + out * inner, 0);
  const weights = layers * layer + vocabSize * hiddenSize;
  const pairs = layers * heads * seqLen * (seqLen + 1) / 2;
  return 6 * batchSize * (seqLen * weights + 2 * pairs * headSize);
}

/** Those that GaLore does without: of weight gradients that are projected by their factors. */
function operationsSaved(states: readonly ParameterState[]): number {
  return states.reduce((sum, { projector, route }) => {
    if (!projector || route?.project !== "factors") return sum;
    const { shape: [m, n], rank } = projector;
    return sum + 2 * route.tokens * (m * n - rank * (m + n));
  }, 0);
}

/**
 * Share of the optimizer's own work in a step of {@link LARGE_STEP} tokens: projection back, Adam,
 * requantising, and every subspace refreshed as often as it may be. None of it depends on the number
 * of tokens; the passes, which take gradients into the low-rank space instead of forming them, grow in
 * proportion to it.
 */
export function optimizerShare(
  phases: Readonly<Record<string, number>>,
  stepMs: number,
  tokens: number,
): number {
  const every = phases["projection back"] + phases.adam + phases.requantise;
  const own = every + phases.refresh / usualRates().updateProjGap;
  return own / (own + (stepMs - every) * LARGE_STEP / tokens);
}

/** Each phase recorded separately, over the whole model. */
function phasesOf(training: Training): Record<string, Recorded> {
  const { model, activations, backward: gradients, head, optimizer, losses } = training;
  const unapplied: GradientSink = {
    blockRows: (parameter) => optimizer.blockRows(parameter),
    target: (parameter, rows) => optimizer.target(parameter, rows),
    takeFactors: (pass, parameter, factors) => optimizer.accumulate(pass, parameter, factors),
    consume: () => {},
  };
  const projected = optimizer.states.filter((state): state is Projected => !!state.projector);
  const lowRank = ({ projector }: Projected) =>
    viewAs(optimizer.scratch.lowRank!, "low_rank", projector.lowRankShape);
  const { matmul } = optimizer, usual = usualStep();
  return {
    forward: (pass) => {
      forward(pass, model, activations);
      finalNorm(pass, model, activations);
    },
    "head and loss": (pass) =>
      headLossAndGradients(pass, model, activations, gradients, head, {
        sink: unapplied,
        loss: { out: losses, index: 0, accumulate: false },
        gradScale: 1e-3,
      }),
    backward: (pass) => backward(pass, model, activations, gradients, unapplied),
    "projection back": (pass) => {
      for (const state of projected) {
        const { parameter, projector } = state, io = { lowRank: lowRank(state), alpha: 0.25 };
        for (const rows of updateBlocks(state)) {
          const { gradient: update } = optimizer.target(parameter, rows);
          projectBack(pass, matmul, projector, { ...io, update, rows });
        }
      }
    },
    adam: (pass) => {
      for (const state of optimizer.states) {
        const { parameter, projector, rule, blockRows } = state;
        const io = {
          ...usual,
          step: 2,
          tensor: parameter.index,
          workspace: optimizer.scratch.rules.get(rule),
          matmul,
        };
        if (projector) {
          rule.record(pass, { ...io, state: state.state, gradient: lowRank(state as Projected) });
          continue;
        }
        for (const rows of blocksOf(optimizer, parameter)) {
          const { gradient } = optimizer.target(parameter, rows);
          const own = blockRows ? rule.rows!(state.state, rows.start, rows.end) : state.state;
          rule.record(pass, { ...io, state: own, gradient });
        }
      }
    },
    requantise: (pass) => {
      for (const state of optimizer.states) {
        const { parameter } = state, { weight: whole, index } = parameter;
        const rounding = whole.dtype === "float32"
          ? undefined
          : { seed: 1, step: 2, tensor: index };
        for (const rows of updateBlocks(state)) {
          const weight = whole.shape.length > 1 ? rowRange(whole, rows.start, rows.end) : whole;
          const { gradient: update } = optimizer.target(parameter, rows);
          applyUpdate(pass, { weight, update, decay: 1, rounding });
        }
      }
    },
    refresh: (pass) => refreshAll(pass, training, projected),
  };
}

type Projected = ParameterState & { readonly projector: Projector };

function refreshAll(
  pass: KernelPass,
  { optimizer, activations }: Training,
  projected: readonly Projected[],
): void {
  // Any numbers of their shapes.
  const { layers: [{ gate, up }] } = activations, { gradient: scratch } = optimizer.scratch;
  for (const [index, state] of projected.entries()) {
    const { projector: { shape: [m, n] }, route } = state;
    const factors = () => ({
      dy: viewAs(gate, "dy", [route!.tokens, m]),
      x: viewAs(up, "x", [route!.tokens, n]),
      scratch,
      atOnce: route!.atOnce,
    });
    refreshSubspace(pass, optimizer.matmul, optimizer.scratch.subspace!, state.projector, {
      gradient: route!.refresh === "factors"
        ? factors()
        : optimizer.target(state.parameter).gradient,
      seed: 1,
      step: 2,
      tensor: state.parameter.index,
      similarity: { out: optimizer.scratch.similarities, index },
    });
  }
}

async function kernelTimes(gpu: Gpu, step: (profiler: Profiler) => Promise<void>) {
  const profiler = Profiler.create(gpu);
  if (!profiler) return undefined;
  await step(profiler);
  const times: Record<string, number> = {};
  for (const { name, milliseconds } of await profiler.take()) {
    times[name] = (times[name] ?? 0) + milliseconds;
  }
  return times;
}
