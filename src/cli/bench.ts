/** `bench`: speed of the kernels on this adapter, or of training a model. */
import { z } from "../packages/zod.ts";
import {
  bench as measure,
  benchCases,
  formatMeasurement,
  MEASUREMENT_HEAD,
} from "../../bench/bench.ts";
import { benchStep, benchSteps, type StepResult } from "../../bench/step.ts";
import { EFFORT, Stopwatch } from "../../bench/timing.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { option, phrase } from "../options/phrase.ts";
import { defineOptions, type Rule, section } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import { trainedModel } from "../train/fields.ts";
import { deriveSizes, type MemoryOptions, sizeFields, sizeRules } from "../train/memory_options.ts";
import { benchTraining } from "./bench_training.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { measuredOn } from "./measured_on.ts";
import { openGpu } from "./open_gpu.ts";
import { formatTable } from "../text.ts";

/** What is meaningless without a model. */
const modelFields = {
  ...section("Measurement", {
    tokens: z.number().positive().optional().describe("tokens of a run, whose time is estimated")
      .meta({ value: "N", derived: "20 a parameter, a million in fine-tuning" }),
  }),
  ...sizeFields,
};

const modelRules: readonly Rule[] = [
  ({ model, filter }) =>
    model !== undefined && filter !== undefined
      ? {
        option: "filter",
        message: phrase`selects kernels: it has no effect with ${option("model")}`,
      }
      : undefined,
  ...Object.keys(modelFields).map((name): Rule => ({ model }, given) =>
    model === undefined && given[name] !== undefined
      ? { option: name, message: phrase`needs ${option("model")}` }
      : undefined
  ),
];

const options = defineOptions({
  fields: {
    ...section("Measurement", {
      quick: z.boolean().default(false).describe("shorter measurements: faster, but noisier"),
      filter: z.string().min(1).optional().describe("run only benchmarks whose names contain this"),
    }),
    ...modelFields,
    ...section("Model", {
      model: trainedModel.optional().describe(
        "time training instead of kernels: a preset, a config.json, or the folder of a model",
      ),
    }),
  },
  rules: [
    ...modelRules,
    ...sizeRules.map((rule): Rule => (options, given) =>
      options.model === undefined ? undefined : rule(options, given)
    ),
  ],
  derive: (options) => deriveSizes(options),
});
export type BenchOptions = ReturnType<typeof options.parse>;

export const bench: Command = {
  name: "bench",
  summary: "measure the kernels on this adapter, or how long a model takes to train",
  details:
    "With --model, trains it on random tokens for some seconds: tokens per second, memory, " +
    "and the time of a whole run.",
  examples: [
    "bench --model llama_60m --batch-size 16 --seq-len 256 --tokens 1.1e9",
    "bench --filter matmul",
  ],
  opensGpu: true,
  options,
  run,
};

async function run(options: BenchOptions, io: Io): Promise<number> {
  const { model, quick } = options;
  using gpu = await openGpu(io);
  if (model === undefined) await benchKernels(gpu, options, io);
  else {
    const sizes: MemoryOptions = {
      ...options,
      model,
      allocate: false,
      table: false,
      ranks: 1,
      shardStates: false,
      shardWeights: false,
    };
    await benchTraining(gpu, sizes, { quick, tokens: options.tokens }, io);
  }
  return io.signal.aborted ? EXIT.interrupted : EXIT.done;
}

/** The benchmark after those of the kernels. */
const STEP = "step";

async function benchKernels(gpu: Gpu, { filter, quick }: BenchOptions, io: Io): Promise<void> {
  const names = [...new Set(benchCases(gpu).map(({ name }) => name)), STEP];
  if (filter && !names.some((name) => name.includes(filter))) {
    throw new UserError(
      phrase`${option("filter")}: no benchmark's name contains "${filter}"`,
      `they are ${names.join(", ")}`,
    );
  }
  const on = measuredOn(gpu);
  io.log(`adapter: ${on.adapter}`);
  io.log(MEASUREMENT_HEAD);
  for await (const measured of measure(gpu, { filter, quick, signal: io.signal })) {
    io.result({ ...measured, ...on }, formatMeasurement(measured));
  }
  if (filter && !STEP.includes(filter)) return;
  const watch = await Stopwatch.create(gpu, EFFORT[quick ? "quick" : "full"]);
  for (const sized of benchSteps(gpu, quick)) {
    if (io.signal.aborted) return;
    const step = await benchStep(watch, sized);
    io.result({ ...step, ...on }, formatStep(step));
  }
}

function formatStep(step: StepResult): string {
  const { shape, phases, step_ms, tokens_per_second, gflops, share_of_peak } = step;
  const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
  const rows = Object.entries(phases).map(([phase, milliseconds]) => [
    phase,
    milliseconds.toFixed(1),
    percent(milliseconds / step_ms),
  ]);
  return [
    `\nstep of ${shape} tokens: ${step_ms.toFixed(0)} ms, ${
      tokens_per_second.toFixed(0)
    } tokens/s, ` +
    `${gflops.toFixed(1)} GFLOP/s, ${percent(share_of_peak)} of peak`,
    formatTable(["phase", "ms", "share"], rows),
    `Q-GaLore's own work in a step of 4096 tokens: ${(100 * step.optimizer_share).toFixed(1)}%`,
  ].join("\n");
}
