/** `memory --fit`: what fits a card, as a table with the largest batch by length of sequences. */
import type { Capabilities } from "../gpu/capabilities.ts";
import type { LlamaConfig } from "../model/config.ts";
import { parameterCount } from "../model/description.ts";
import { settings, spell } from "../options/phrase.ts";
import { FLAGS } from "../options/spelling.ts";
import { formatBytes, formatTable, snakeCase } from "../text.ts";
import { type Fit, MOST_SEQUENCES, planFit } from "../train/fit.ts";
import { RESERVED_TEXT, runMemoryOfCard } from "../train/gpu_memory.ts";
import type { MemoryOptions } from "../train/memory_options.ts";
import { EXIT, type Io } from "./command.ts";
import { givenSizes, inProcesses } from "./given_sizes.ts";

/** With `--json` an object a line; otherwise a line for all lengths of one setting. Fails if nothing fits. */
export function showFits(
  config: LlamaConfig,
  options: MemoryOptions,
  capabilities: Capabilities,
  io: Io,
): number {
  const bytes = runMemoryOfCard(options.fit!);
  const fits = planFit(config, givenSizes(options), bytes, capabilities);
  for (const { options, plan } of fits) {
    io.event({
      options: Object.fromEntries(
        Object.entries(options).map(([name, value]) => [snakeCase(name), value]),
      ),
      planned_peak_bytes: plan.plannedPeakBytes,
      allocated_bytes: plan.allocatedBytes,
    });
  }
  if (!io.json) io.result(undefined, describe(config, options, bytes, fits));
  return fits.length ? EXIT.done : EXIT.failed;
}

function describe(
  config: LlamaConfig,
  { model, from, fit, ranks }: MemoryOptions,
  bytes: number,
  fits: readonly Fit[],
): string {
  const name = `${model ?? from} (${(parameterCount(config) / 1e6).toFixed(1)} million parameters)`;
  const card = `a card of ${fit} GiB${inProcesses({ ranks })}: ${formatBytes(bytes, 4)}, ` +
    RESERVED_TEXT;
  if (!fits.length) return `${name} does not fit ${card}`;
  const lengths = [...new Set(fits.map(({ options }) => Number(options.seqLen)))].sort((a, b) =>
    a - b
  );
  const rows = Map.groupBy(fits, ({ options }) => JSON.stringify(rest(options)));
  return [
    `${name} on ${card}`,
    "",
    formatTable(
      ["largest batch of sequences of", ...lengths.map(String)],
      [...rows.values()].map((row) => [
        spell([settings(rest(row[0].options))], FLAGS),
        ...lengths.map((length) => batchText(row.find(({ options }) => options.seqLen === length))),
      ]),
    ),
  ].join("\n");
}

/** The options of a line: all but those that its columns say. */
function rest({ batchSize: _, seqLen: __, ...options }: Fit["options"]) {
  return options;
}

function batchText(fit: Fit | undefined): string {
  if (!fit) return "-";
  const batch = Number(fit.options.batchSize);
  return batch === MOST_SEQUENCES ? `${batch}+` : `${batch}`;
}
