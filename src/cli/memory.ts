/** `memory`: the memory that a training run would need, without running it. */
import { findAdapter } from "../gpu/adapter.ts";
import { Gpu } from "../gpu/gpu.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { formatBytes, formatTable } from "../text.ts";
import { plannedConfig, shapeWarnings, trainingShape } from "../train/method.ts";
import { type MemoryOptions, memoryOptions } from "../train/memory_options.ts";
import { fullAdamWShape, type MemoryPlan, planMemory } from "../train/plan.ts";
import { type Command, EXIT, type Io } from "./command.ts";

export const memory: Command = {
  name: "memory",
  summary: "compute how much GPU memory a training run would need",
  details: "The code that allocates a run makes the plan, so the run takes exactly these bytes.",
  examples: ["memory --model llama_7b --rank 1024 --batch-size 1 --activation-checkpointing"],
  options: memoryOptions,
  run,
};

const GIB = 2 ** 30;
const CARDS = [8, 12, 16, 24];
/** Memory of a card used by the driver and a display. */
const RESERVED = GIB / 2;

async function run(options: MemoryOptions, io: Io): Promise<number> {
  const config = await plannedConfig(options);
  const shape = trainingShape(options, config);
  // Part of the workspace depends on the kernels chosen for this adapter; without one, assume a
  // card's.
  const gpu = await findAdapter() ? await Gpu.open() : null;
  const capabilities = gpu?.capabilities ?? CONSUMER_CARD;
  gpu?.close();
  const plan = planMemory(config, shape, capabilities);
  const full = planMemory(config, fullAdamWShape(shape), capabilities);
  for (const warning of shapeWarnings(config, shape)) io.log(`warning: ${warning}`);
  io.result(
    { planned_peak_bytes: plan.plannedPeakBytes, by_purpose: plan.byPurpose },
    describe(options, config, plan, full),
  );
  return EXIT.done;
}

function describe(
  options: MemoryOptions,
  config: LlamaConfig,
  plan: MemoryPlan,
  full: MemoryPlan,
): string {
  const parameters = parameterCount(config);
  const rows = PURPOSES.map((purpose) => [
    purpose.replace("_", " "),
    formatBytes(plan.byPurpose[purpose]),
    formatBytes(full.byPurpose[purpose]),
  ]);
  rows.push(["peak", formatBytes(plan.plannedPeakBytes), formatBytes(full.plannedPeakBytes)]);
  const cards = CARDS.map((card) => {
    const fits = plan.plannedPeakBytes <= card * GIB - RESERVED;
    return `${card} GB ${fits ? "yes" : "no"}`;
  });
  const share = (100 * plan.plannedPeakBytes / full.plannedPeakBytes).toFixed(0);
  return [
    `${options.model ?? options.from}: ${(parameters / 1e6).toFixed(1)} million parameters, ` +
    `${config.vocabSize} tokens, batch ${options.batchSize} x ${options.seqLen} tokens`,
    "",
    formatTable(["", options.optimizer, "full adamw"], rows),
    "",
    `${share}% of full AdamW (${options.dtype} weights, float32 moments)`,
    `fits a card of: ${cards.join(", ")} (leaving 0.5 GB for driver and display)`,
    `exact: ${plan.plannedPeakBytes} bytes`,
  ].join("\n");
}
