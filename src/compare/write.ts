/** compare.md and the plots beside it. */
import { join } from "../packages/std_path.ts";
import { writeAll, writeAtomically } from "../files/atomic.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { drawChart } from "../plot/draw.ts";
import type { Chart } from "../plot/chart.ts";
import { formatBytes } from "../text.ts";
import { lossChart, memoryChart, memoryLossChart } from "./plots.ts";
import type { CompareRecord } from "./record.ts";
import { formatRate, resultTable, sweepText, type TextTable, trainedText } from "./table.ts";

/** Writes all that is made of compare.json, which names the runs that it is read from. */
export async function writeComparison(output: string, record: CompareRecord): Promise<void> {
  const charts: Record<string, Chart> = {
    "loss-steps": await lossChart(output, record),
    "loss-memory": memoryLossChart(record),
    memory: memoryChart(record),
  };
  for (const [name, chart] of Object.entries(charts)) {
    const { svg, png } = await drawChart(chart);
    await writeFile(join(output, `${name}.svg`), new TextEncoder().encode(svg));
    await writeFile(join(output, `${name}.png`), await png("light"));
    await writeFile(join(output, `${name}-dark.png`), await png("dark"));
  }
  const titles = Object.entries(charts).map(([name, { title }]) => ({ name, title }));
  const text = comparisonText(record, titles);
  await writeFile(join(output, "compare.md"), new TextEncoder().encode(text));
}

function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  return writeAtomically(path, (file) => writeAll(file, bytes));
}

function comparisonText(
  record: CompareRecord,
  plots: readonly { readonly name: string; readonly title: string }[],
): string {
  const { methods, options, seeds, lr_sweep: sweep } = record;
  const { model, from, data, dataset } = options;
  const tried = methods.filter((method) => method.sweep.length);
  const what = record.kind === "pretrain" ? "Pre-training" : "Fine-tuning";
  return [
    `# ${what} of ${model ?? from} on ${[data ?? dataset].flat().join(", ")}`,
    "",
    `${trainedText(record)}.`,
    "",
    markdown(resultTable(record)),
    "",
    [
      "Losses are in nats a token, of the last step and on held-out data after it",
      seeds.length > 1 ? ", with the standard deviation over the seeds" : "",
      methods.length > 1 ? `; a difference is that to ${methods[0].name}, seed by seed. ` : ". ",
      "A short run flatters methods that learn fast at first: only equal lengths compare.",
    ].join(""),
    "",
    ...plots.flatMap(({ name, title }) => [
      "<picture>",
      `  <source media="(prefers-color-scheme: dark)" srcset="${name}-dark.png">`,
      `  <img alt="${title}" src="${name}.png" width="800">`,
      "</picture>",
      "",
    ]),
    "## What was held equal",
    "",
    "For each seed all methods start from the same weights, in the format that each trains them in, " +
    "and see the same batches in the same order. These options were given for all; one that a " +
    "method does not have is left out there:",
    "",
    ...Object.entries(options).map(([name, value]) =>
      `- \`${name}\`: \`${JSON.stringify(value)}\``
    ),
    "",
    "Speeds were measured after training, in windows of some seconds on random tokens, all methods " +
    "in turn, and are medians; steps that refresh subspaces are left out. GPU memory is what was " +
    "allocated at most, which is what was planned.",
    "",
    ...tried.length
      ? [
        "## Learning rates",
        "",
        `Tried with seed ${sweep.seed} for ${sweep.steps} steps, at ` +
        `${
          sweep.multiples.map(String).join(", ")
        } times the method's usual rate, and beyond while ` +
        "the best was the lowest or the highest. The best is bold.",
        "",
        markdown({
          head: ["method", "rate and loss"],
          rows: tried.map((method) => [method.name, sweepText(method)]),
        }),
        "",
      ]
      : [],
    ...methods.filter(({ lr_from, lr }) => lr_from !== "sweep" && lr !== undefined).map((method) =>
      `${method.name}: the rate ${formatRate(method.lr!)} ` +
      `${method.lr_from === "given" ? "was given" : "is the usual one"}.`
    ),
    "",
    "## GPU memory by purpose",
    "",
    markdown({
      head: ["method", ...PURPOSES.map((purpose) => purpose.replaceAll("_", " ")), "peak"],
      rows: methods.flatMap(({ name, by_purpose, planned_peak_bytes }) =>
        by_purpose
          ? [[
            name,
            ...PURPOSES.map((purpose) => formatBytes(by_purpose[purpose])),
            formatBytes(planned_peak_bytes ?? 0),
          ]]
          : []
      ),
    }),
    "",
    `${record.program}, Deno ${record.deno}, ${record.adapter}, ${record.system}. ` +
    "All figures are in [compare.json](compare.json).",
    "",
  ].join("\n");
}

/** The first column to the left, the others to the right. */
function markdown({ head, rows }: TextTable): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((_, at) => at ? "---:" : "---");
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
