/** `memory`: the memory that a training run would need, without running it. */
import { findAdapter } from "../gpu/adapter.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { CONSUMER_CARD } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { CARDS } from "../report/method_table.ts";
import { formatBytes, formatTable } from "../text.ts";
import { clippingText } from "../train/clipping.ts";
import { plannedConfig, shapeWarnings, trainingShape } from "../train/method.ts";
import { RESERVED_TEXT, runMemoryOfCard } from "../train/gpu_memory.ts";
import { type MemoryOptions, memoryOptions } from "../train/memory_options.ts";
import { fullAdamWShape, type MemoryPlan, planMemory } from "../train/plan.ts";
import { type Command, EXIT, type Io } from "./command.ts";
import { showFits } from "./fit_table.ts";
import { inProcesses } from "./given_sizes.ts";
import { showTable } from "./memory_table.ts";
import { showTrial } from "./memory_trial.ts";
import { openChosenGpu } from "./open_gpu.ts";

export const memory: Command = {
  name: "memory",
  summary: "compute how much GPU memory a training run would need",
  details: "The code that allocates a run makes the plan, so the run takes exactly these bytes.",
  examples: [
    "memory --model llama_7b --rank 1024 --batch-size 1 --activation-checkpointing",
    "memory --model llama_7b --fit 16",
    "memory --table --plot plots",
    "memory --model llama_1b --batch-size 4 --allocate",
  ],
  opensGpu: true,
  options: memoryOptions,
  run,
};

async function run(options: MemoryOptions, io: Io): Promise<number> {
  // Part of the workspace depends on the kernels chosen for this adapter; without one, assume a
  // card's.
  const gpu = await findAdapter() ? await openChosenGpu() : null;
  const capabilities = gpu?.capabilities ?? CONSUMER_CARD;
  const card = capabilities.software ? CONSUMER_CARD : capabilities;
  gpu?.close();
  if (options.table) return await showTable(options, card, io);
  const config = await plannedConfig(options);
  if (options.fit !== undefined) return showFits(config, options, card, io);
  if (options.allocate) return await showTrial(config, options, io);
  const shape = trainingShape(options, config);
  const plan = planMemory(config, shape, capabilities);
  const full = planMemory(config, fullAdamWShape(shape), capabilities);
  const onCard = planMemory(config, shape, card);
  for (const warning of shapeWarnings(config, shape)) io.log(`warning: ${warning}`);
  io.result(
    {
      planned_peak_bytes: plan.plannedPeakBytes,
      by_purpose: plan.byPurpose,
      allocated_bytes: onCard.allocatedBytes,
    },
    describe(options, config, { plan, full, onCard }),
  );
  return EXIT.done;
}

function describe(
  options: MemoryOptions,
  config: LlamaConfig,
  { plan, full, onCard }: Readonly<Record<"plan" | "full" | "onCard", MemoryPlan>>,
): string {
  const parameters = parameterCount(config);
  const rows = PURPOSES.map((purpose) => [
    purpose.replace("_", " "),
    formatBytes(plan.byPurpose[purpose]),
    formatBytes(full.byPurpose[purpose]),
  ]);
  rows.push(["peak", formatBytes(plan.plannedPeakBytes), formatBytes(full.plannedPeakBytes)]);
  const cards = CARDS.map((card) => {
    const fits = onCard.allocatedBytes <= runMemoryOfCard(card);
    return `${card} GB ${fits ? "yes" : "no"}`;
  });
  const clipping = clippingText(trainingShape(options, config), options.maxGradNorm);
  const share = (100 * plan.plannedPeakBytes / full.plannedPeakBytes).toFixed(0);
  return [
    `${options.model ?? options.from}: ${(parameters / 1e6).toFixed(1)} million parameters, ` +
    `${config.vocabSize} tokens, batch ${options.batchSize} x ${options.seqLen} tokens` +
    inProcesses(options),
    "",
    formatTable(["", options.optimizer, "full adamw"], rows),
    "",
    `${share}% of full AdamW (${options.dtype} weights, float32 moments)`,
    `fits a card of: ${cards.join(", ")} (${RESERVED_TEXT})`,
    ...clipping ? [spell(clipping, FLAGS)] : [],
    `exact: ${plan.plannedPeakBytes} bytes`,
    `in the blocks of a card's driver: ${formatBytes(onCard.allocatedBytes, 4)} for ` +
    `${formatBytes(onCard.plannedPeakBytes, 4)}`,
  ].join("\n");
}
