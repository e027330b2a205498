/** `memory --table`: every method beside what papers say, and `--plot`, as a chart. */
import { join } from "../packages/std_path.ts";
import { writeBytes, writeText } from "../files/atomic.ts";
import type { Capabilities } from "../gpu/capabilities.ts";
import { PRESETS } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { drawChart } from "../plot/draw.ts";
import { methodChart, methodNotes, methodTable, smallestCard } from "../report/method_table.ts";
import { formatTable } from "../text.ts";
import { plannedConfig } from "../train/method.ts";
import { type MethodMemory, methodMemory, PAPER_BATCH } from "../train/method_memory.ts";
import type { MemoryInput, MemoryOptions } from "../train/memory_options.ts";
import { PAPER_MODELS, PAPERS } from "../train/paper_figures.ts";
import { EXIT, type Io } from "./command.ts";
import { givenSizes, inProcesses } from "./given_sizes.ts";

interface ModelMemory {
  readonly model: string;
  readonly parameters: number;
  readonly methods: readonly MethodMemory[];
}

/** With `--json` an object a line; otherwise a table for each model. Fails if no method has a plan. */
export async function showTable(
  options: MemoryOptions,
  capabilities: Capabilities,
  io: Io,
): Promise<number> {
  const given: MemoryInput = { ...PAPER_BATCH, ...givenSizes(options) };
  const models = await modelsOf(options, given, capabilities);
  for (const { model, methods } of models) {
    for (const method of methods) io.event(asJson(model, given, method));
  }
  const all = models.flatMap(({ methods }) => methods);
  if (!io.json) io.result(undefined, describe(models, given));
  if (options.plot !== undefined) await plot(options.plot, models, given, io);
  return all.length ? EXIT.done : EXIT.failed;
}

/** The one that is named, or those of papers. */
async function modelsOf(
  options: MemoryOptions,
  given: MemoryInput,
  capabilities: Capabilities,
): Promise<ModelMemory[]> {
  const { model = options.from } = options, { vocabSize } = options;
  const configs = model === undefined
    ? PAPER_MODELS.map((model) => ({
      model,
      config: { ...PRESETS[model], ...vocabSize !== undefined && { vocabSize } },
    }))
    : [{ model, config: await plannedConfig(options) }];
  return configs.map(({ model, config }) => {
    const named = options.from === undefined ? { ...given, model } : given;
    const methods = methodMemory(config, named as MemoryInput, capabilities);
    return { model, parameters: parameterCount(config), methods };
  });
}

const title = ({ model, parameters }: ModelMemory, given: MemoryInput) =>
  `${model}: ${(parameters / 1e6).toFixed(1)} million parameters, ${given.batchSize} x ` +
  `${given.seqLen} tokens${inProcesses(given)}`;

function describe(models: readonly ModelMemory[], given: MemoryInput): string {
  return [
    ...models.map((each) => {
      const { head, rows } = methodTable(each.methods);
      return `${title(each, given)}\n\n${formatTable(head, rows)}`;
    }),
    methodNotes(models.flatMap(({ methods }) => methods)).join("\n"),
  ].join("\n\n");
}

function asJson(model: string, { batchSize, seqLen }: MemoryInput, memory: MethodMemory) {
  const { method, rank, pretrains, plan, storedBytes, countedBytes } = memory;
  const figures = (all: MethodMemory["estimates"]) =>
    all.map(({ paper, figure, bytes, atMost, storedAtMost, less }) => ({
      paper: PAPERS[paper].name,
      source: PAPERS[paper].reference,
      figure,
      bytes,
      at_most: atMost,
      stored_at_most: storedAtMost,
      less,
    }));
  return {
    model,
    optimizer: method,
    rank,
    pretrains,
    batch_size: batchSize,
    seq_len: seqLen,
    stored_bytes: storedBytes,
    counted_bytes: countedBytes,
    planned_peak_bytes: plan.plannedPeakBytes,
    allocated_bytes: plan.allocatedBytes,
    by_purpose: plan.byPurpose,
    smallest_card_gib: smallestCard(memory) ?? null,
    estimates: figures(memory.estimates),
    measured: figures(memory.measured),
  };
}

async function plot(
  folder: string,
  models: readonly ModelMemory[],
  given: MemoryInput,
  io: Io,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const each of models) {
    const chart = methodChart(`GPU memory of ${title(each, given)}`, each.methods);
    const { svg, png } = await drawChart(chart);
    const name = join(folder, `memory-${each.model.replace(/[^\w.-]+/g, "-")}`);
    await writeText(`${name}.svg`, svg);
    await writeBytes(`${name}.png`, await png("light"));
    await writeBytes(`${name}-dark.png`, await png("dark"));
    io.log(`${name}.svg, ${name}.png, ${name}-dark.png`);
  }
}
