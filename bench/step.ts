/** A training step, in total and by phase, and tokens per second. */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { Profiler } from "../src/gpu/profiler.ts";
import { type Tensor, viewAs } from "../src/gpu/tensor.ts";
import { applyUpdate } from "../src/kernels/optim/apply_update.ts";
import { backward } from "../src/model/backward.ts";
import { type LlamaConfig, type PresetName, PRESETS } from "../src/model/config.ts";
import { forward } from "../src/model/forward.ts";
import type { GradientSink } from "../src/model/gradients.ts";
import { finalNorm, headLossAndGradients } from "../src/model/head.ts";
import type { Optimizer, OptimizerStep } from "../src/optim/optimizer.ts";
import type { ParameterState } from "../src/optim/optimizer_state.ts";
import { project, projectBack, type Projector } from "../src/optim/projector.ts";
import { refreshSubspace } from "../src/optim/subspace.ts";
import { buildTraining, type Training } from "../src/train/build.ts";
import { optimizerRates, trainingShape } from "../src/train/method.ts";
import { memoryOptions } from "../src/train/memory_options.ts";
import { pretrainOptions } from "../src/train/options.ts";
import { trainStep } from "../src/train/step.ts";
import type { Recorded, Stopwatch } from "./timing.ts";
import { prepare, someBatch } from "./untrained.ts";

export interface StepResult {
  readonly name: string;
  readonly shape: string;
  readonly step_ms: number;
  readonly tokens_per_second: number;
  /** Milliseconds of each phase by itself; `refresh` refreshes every subspace. */
  readonly phases: Readonly<Record<string, number>>;
  /** Milliseconds of the step's kernels by the GPU's clock, where that is reliable. */
  readonly kernels?: Readonly<Record<string, number>>;
}

const STEP: Omit<OptimizerStep, "step"> = {
  lr: 1e-4,
  rates: optimizerRates(pretrainOptions.parse({ model: "llama_nano", data: ["-"], output: "-" })),
};

/** A Q-GaLore step: the demo's model on a processor, a large batch of a larger one on a card. */
export async function benchStep(watch: Stopwatch): Promise<StepResult> {
  const { gpu } = watch;
  const [model, batchSize, seqLen]: [PresetName, number, number] = gpu.capabilities.software
    ? ["llama_nano", 8, 128]
    : ["llama_60m", 16, 256];
  const config: LlamaConfig = PRESETS[model];
  const options = memoryOptions.parse({ model, batchSize, seqLen });
  const training = buildTraining(gpu, config, trainingShape(options, config), gpu.capabilities);
  prepare(gpu, training);
  const batch = someBatch(batchSize * seqLen, config.vocabSize);
  const step = (profiler?: Profiler) =>
    trainStep(gpu, training, [batch], { ...STEP, step: 2, lossIndex: 0, profiler });

  trainStep(gpu, training, [batch], { ...STEP, step: 1, lossIndex: 0 }); // compiles and refreshes
  const similarities = await gpu.read(training.optimizer.scratch.similarities);
  training.optimizer.recordSimilarities(new Float32Array(similarities.buffer));
  const step_ms = await watch.millisecondsOf(() => step());
  const phases: Record<string, number> = {};
  for (const [phase, record] of Object.entries(phasesOf(training))) {
    phases[phase] = await watch.millisecondsOf(() => {
      const pass = new KernelPass(gpu);
      record(pass);
      pass.submit();
    });
  }
  return {
    name: "step",
    shape: `${model} ${batchSize} x ${seqLen}`,
    step_ms,
    tokens_per_second: (1000 * batchSize * seqLen) / step_ms,
    phases,
    kernels: gpu.capabilities.software ? undefined : await kernelTimes(gpu, step),
  };
}

/** Each phase recorded separately, over the whole model. */
function phasesOf(training: Training): Record<string, Recorded> {
  const { model, activations, backward: gradients, head, optimizer, losses } = training;
  const discard: GradientSink = { target: (it) => optimizer.target(it), consume: () => {} };
  const projected = optimizer.states.filter((state): state is Projected => !!state.projector);
  const lowRank = ({ projector }: Projected) =>
    viewAs(optimizer.scratch.lowRank!, "low_rank", projector.lowRankShape);
  const gradient = ({ parameter }: ParameterState) => optimizer.target(parameter).gradient;
  const { matmul } = optimizer;
  return {
    forward: (pass) => {
      forward(pass, model, activations);
      finalNorm(pass, model, activations);
    },
    "head and loss": (pass) =>
      headLossAndGradients(pass, model, activations, gradients, head, {
        sink: discard,
        loss: { out: losses, index: 0, accumulate: false },
        gradScale: 1e-3,
      }),
    backward: (pass) => backward(pass, model, activations, gradients, discard),
    projection: (pass) => {
      for (const state of projected) {
        const low = lowRank(state), full = gradient(state);
        project(pass, matmul, state.projector, { gradient: full, lowRank: low });
        projectBack(pass, matmul, state.projector, { lowRank: low, update: full, alpha: 0.25 });
      }
    },
    adam: (pass) => {
      for (const state of optimizer.states) {
        const own: Tensor = state.projector ? lowRank(state as Projected) : gradient(state);
        const workspace = optimizer.scratch.rules.get(state.rule);
        const io = { ...STEP, step: 2, gradient: own, state: state.state, workspace, matmul };
        state.rule.record(pass, io);
      }
    },
    requantise: (pass) => {
      for (const state of optimizer.states) {
        const { weight, index } = state.parameter;
        const rounding = weight.dtype === "float32"
          ? undefined
          : { seed: 1, step: 2, tensor: index };
        applyUpdate(pass, { weight, update: gradient(state), decay: 1, rounding });
      }
    },
    refresh: (pass) => refreshAll(pass, optimizer, projected),
  };
}

type Projected = ParameterState & { readonly projector: Projector };

function refreshAll(pass: KernelPass, optimizer: Optimizer, projected: readonly Projected[]): void {
  for (const [index, state] of projected.entries()) {
    refreshSubspace(pass, optimizer.matmul, optimizer.scratch.subspace!, state.projector, {
      gradient: optimizer.target(state.parameter).gradient,
      seed: 1,
      step: 2,
      tensor: state.parameter.index,
      similarity: { out: optimizer.scratch.similarities, index },
    });
  }
}

async function kernelTimes(gpu: Gpu, step: (profiler: Profiler) => void) {
  const profiler = Profiler.create(gpu);
  if (!profiler) return undefined;
  step(profiler);
  const times: Record<string, number> = {};
  for (const { name, milliseconds } of await profiler.take()) {
    times[name] = (times[name] ?? 0) + milliseconds;
  }
  return times;
}
