/** A training step by phases, and tokens a second. */
import type { Gpu } from "../src/gpu/gpu.ts";
import { KernelPass } from "../src/gpu/pass.ts";
import { Profiler } from "../src/gpu/profiler.ts";
import { machineOf } from "../src/kernels/machine.ts";
import { type LlamaConfig, PRESETS } from "../src/model/config.ts";
import { initialize } from "../src/model/initialize.ts";
import { uploadRope } from "../src/model/llama.ts";
import { buildTraining, type Training } from "../src/train/build.ts";
import { trainingShape } from "../src/train/method.ts";
import { memoryOptions } from "../src/train/options.ts";
import { type MicroBatch, trainStep } from "../src/train/step.ts";

export interface StepResult {
  readonly name: string;
  readonly shape: string;
  /** Milliseconds on the GPU's clock by phase; of the refresh, by the clock on the wall. */
  readonly phases: Readonly<Record<string, number>>;
  readonly step_ms: number;
  readonly tokens_per_second: number;
}

const REPETITIONS = 5;

/** Steps of `llama_nano` with Q-GaLore at the demo's sizes. */
export async function benchStep(gpu: Gpu): Promise<StepResult> {
  const batchSize = 8, seqLen = 128;
  const config: LlamaConfig = PRESETS.llama_nano;
  const options = memoryOptions.parse({ model: "llama_nano", batchSize, seqLen, rank: 32 });
  const training = buildTraining(gpu, config, trainingShape(options, config), machineOf(gpu));
  uploadRope(gpu, training.model);
  const pass = new KernelPass(gpu);
  const { parameters } = training.model;
  initialize(gpu, pass, config, parameters, {
    seed: 1,
    scratch: training.optimizer.scratch.gradient,
  });
  pass.submit();

  const batch = someBatch(batchSize * seqLen, config.vocabSize);
  const run = async (step: number, profiler?: Profiler) => {
    const start = performance.now();
    trainStep(gpu, training, [batch], { step, lr: 1e-4, lossIndex: 0, profiler });
    await gpu.settled();
    return performance.now() - start;
  };
  await run(1); // compiles, and refreshes every subspace
  await noteRefreshes(gpu, training);
  await run(2);
  const plain: number[] = [];
  for (let i = 0; i < REPETITIONS; i++) plain.push(await run(3 + i));
  const step_ms = median(plain);

  const profiler = Profiler.create(gpu);
  const phases: Record<string, number> = {};
  if (profiler) {
    await run(3 + REPETITIONS, profiler);
    for (const { phase, milliseconds } of await profiler.take()) {
      phases[phase] = (phases[phase] ?? 0) + milliseconds;
    }
  }
  // The step that refreshes every matrix, less one that refreshes none.
  const { updateProjGap } = training.optimizer.options;
  phases.refresh = await run(updateProjGap + 1) - step_ms;
  return {
    name: "step",
    shape: `llama_nano ${batchSize} x ${seqLen}`,
    phases,
    step_ms,
    tokens_per_second: (1000 * batchSize * seqLen) / step_ms,
  };
}

async function noteRefreshes(gpu: Gpu, { optimizer }: Training): Promise<void> {
  const bytes = await gpu.read(optimizer.scratch.similarities);
  optimizer.recordSimilarities(new Float32Array(bytes.buffer));
}

function someBatch(tokens: number, vocabulary: number): MicroBatch {
  const inputs = Uint32Array.from({ length: tokens }, (_, i) => (i * i + 7 * i) % vocabulary);
  const targets = Int32Array.from(inputs, (_, i) => inputs[(i + 1) % tokens]);
  return { inputs, targets, tokens };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
