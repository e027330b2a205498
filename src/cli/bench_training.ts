/** `bench --model`: how long a model takes to train on this adapter. */
import { measureTraining, secondsFor, type TrainingSpeed } from "../train/training_speed.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { formatBytes, formatCount, formatDuration } from "../text.ts";
import { plannedConfig, trainingShape } from "../train/method.ts";
import type { MemoryOptions } from "../train/memory_options.ts";
import type { Io } from "./command.ts";
import { measuredOn } from "./measured_on.ts";
import { Working } from "./working.ts";

/** Tokens a parameter at which a model of a given budget is best (Hoffmann et al. 2022). */
const TOKENS_PER_PARAMETER = 20;
const FINETUNING_TOKENS = 1e6;

const DAY = 24 * 3600;

export async function benchTraining(
  gpu: Gpu,
  options: MemoryOptions,
  { quick, tokens }: { quick: boolean; tokens?: number },
  io: Io,
): Promise<void> {
  const config = await plannedConfig(options);
  const shape = trainingShape(options, config);
  const on = measuredOn(gpu);
  io.log(`adapter: ${on.adapter}`);
  const { gradientAccumulation } = options, milliseconds = quick ? 2000 : 10_000;
  const working = new Working(io).start();
  const speed = await measureTraining(gpu, { config, shape, options, gradientAccumulation }, {
    milliseconds,
    onProgress: ({ phase, share }) => working.show(phase, { share }),
    signal: io.signal,
  }).finally(() => working.stop());
  if (!speed) return;
  const asked = tokens ??
    (options.finetune ? FINETUNING_TOKENS : TOKENS_PER_PARAMETER * speed.parameters);
  io.result(
    { ...speed, tokens: asked, seconds: secondsFor(asked, speed), ...on },
    describe(options, speed, asked),
  );
}

function describe(options: MemoryOptions, speed: TrainingSpeed, tokens: number): string {
  const { model, optimizer, batchSize, seqLen, gradientAccumulation: accumulated } = options;
  const { parameters, step_ms, refresh_ms, refresh_interval, planned_peak_bytes: planned } = speed;
  const batch = `${batchSize} x ${seqLen}${accumulated > 1 ? ` x ${accumulated}` : ""}`;
  const rows = [
    [
      "speed",
      `${speed.tokens_per_second.toFixed(0)} tokens/s: ${formatDuration(step_ms / 1000)} a step`,
    ],
  ];
  if (refresh_interval) {
    const longer = refresh_ms < step_ms / 100
      ? "under 1% of a step"
      : formatDuration(refresh_ms / 1000);
    rows.push(["refresh", `${longer} for all subspaces, every ${refresh_interval} steps at most`]);
  }
  const allocated = speed.gpu_peak_bytes === planned
    ? "as planned"
    : `${formatBytes(speed.gpu_peak_bytes)} allocated`;
  rows.push(["memory", `${formatBytes(planned)} of GPU memory, ${allocated}`]);
  rows.push([
    "time",
    `${formatDuration(secondsFor(tokens, speed))} for ${formatCount(tokens)} tokens${
      options.finetune ? "" : ` (${(tokens / parameters).toPrecision(2)} a parameter)`
    }`,
  ]);
  rows.push(["a day", `${formatCount(speed.tokens_per_second * DAY)} tokens`]);
  return [
    `${model}: ${formatCount(parameters)} parameters, ${optimizer}, ${batch} tokens a step`,
    "",
    ...rows.map(([name, value]) => `${name.padEnd(9)}${value}`),
  ].join("\n");
}
