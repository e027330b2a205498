/** compare.md and the plots beside it. */
import { join } from "../packages/std_path.ts";
import { writeBytes, writeText } from "../files/atomic.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { drawChart } from "../plot/draw.ts";
import type { Chart } from "../plot/chart.ts";
import { code, markdownTable, plain } from "../report/markdown.ts";
import { escapeXml, formatBytes } from "../text.ts";
import { lossChart, memoryChart, memoryLossChart } from "./plots.ts";
import { COMPARE_TEXT, type CompareRecord, type MethodRecord, PLOTS } from "./record.ts";
import { formatRate, resultTable, sweepText, type TextTable, trainedText } from "./table.ts";

type ChartOf = (output: string, record: CompareRecord) => Chart | Promise<Chart>;

const CHARTS: Readonly<Record<typeof PLOTS[number], ChartOf>> = {
  "loss-steps": lossChart,
  "loss-memory": (_, record) => memoryLossChart(record),
  memory: (_, record) => memoryChart(record),
};

/**
 * Writes all that is made of compare.json, which names the runs that it is read from: the tables first,
 * so that no plot can lose them. Returns what could not be drawn, for people.
 */
export async function writeComparison(output: string, record: CompareRecord): Promise<string[]> {
  const path = join(output, COMPARE_TEXT), missing: string[] = [];
  await writeText(path, comparisonText(record, []));
  const drawn: { readonly name: string; readonly title: string }[] = [];
  for (const name of PLOTS) {
    try {
      const chart = await CHARTS[name](output, record), { svg, png } = await drawChart(chart);
      await writeText(join(output, `${name}.svg`), svg);
      await writeBytes(join(output, `${name}.png`), await png("light"));
      await writeBytes(join(output, `${name}-dark.png`), await png("dark"));
      drawn.push({ name, title: chart.title });
    } catch (error) {
      missing.push(`${name} could not be drawn: ${(error as Error).message}`);
    }
  }
  await writeText(path, comparisonText(record, drawn));
  return missing;
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
    `# ${what} of ${plain(`${model ?? from} on ${[data ?? dataset].flat().join(", ")}`)}`,
    "",
    `${plain(trainedText(record))}.`,
    "",
    markdown(resultTable(record)),
    "",
    [
      "Losses are in nats a token, of the last step and on held-out data after it",
      seeds.length > 1 ? ", with the standard deviation over the seeds" : "",
      methods.length > 1
        ? `; a difference is that to ${plain(methods[0].name)}, seed by seed. `
        : ". ",
      "A short run flatters methods that learn fast at first: only equal lengths compare.",
    ].join(""),
    "",
    ...plots.flatMap(({ name, title }) => [
      "<picture>",
      `  <source media="(prefers-color-scheme: dark)" srcset="${name}-dark.png">`,
      `  <img alt="${escapeXml(title)}" src="${name}.png" width="800">`,
      "</picture>",
      "",
    ]),
    "## What was held equal",
    "",
    "For each seed all methods start from the same weights, in the format that each trains them in, " +
    "and see the same batches in the same order. These options were the same for all; one that a " +
    "method does not have is left out there:",
    "",
    ...Object.entries(options).map(([name, value]) =>
      `- ${code(name)}: ${code(JSON.stringify(value))}`
    ),
    "",
    "Speeds were measured after training, in short windows on random tokens, all methods in turn, " +
    "and are medians, of steps that refresh no subspace; with refreshes they are those of a run that " +
    `refreshes as often as these did. ${memoryText(methods)}`,
    "",
    ...tried.length
      ? [
        "## Learning rates",
        "",
        `Tried with seed ${sweep.seed} for ${sweep.steps} steps, at ` +
        `${sweep.multiples.join(", ")} times the method's usual rate, and beyond while the best ` +
        "was the lowest or the highest. The best is bold.",
        "",
        markdownTable(
          ["method", "rate and loss"],
          tried.map((method) => [plain(method.name), sweepText(method)]),
          { right: true },
        ),
        "",
      ]
      : [],
    ...methods.filter(({ lr_from, lr }) => lr_from !== "sweep" && lr !== undefined).map((method) =>
      `- ${plain(method.name)}: the rate ${formatRate(method.lr!)} ${rateText(method, record)}.`
    ),
    "",
    "## GPU memory by purpose, as planned",
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
    `${record.program}, Deno ${record.deno}, ${plain(record.adapter)}, ${record.system}. ` +
    "All figures are in [compare.json](compare.json).",
    "",
  ].join("\n");
}

function rateText({ lr_from }: MethodRecord, { lr_sweep }: CompareRecord): string {
  const [multiple] = lr_sweep.multiples;
  if (lr_from === "given") return "was given";
  return multiple === 1 ? "is the usual one" : `is ${multiple} times the usual one`;
}

/** How what was allocated compares with the plans. */
function memoryText(methods: readonly MethodRecord[]): string {
  const ran = methods.filter(({ gpu_peak_bytes }) => gpu_peak_bytes !== undefined);
  if (!ran.length) return "GPU memory is as planned: none has run.";
  const other = ran.filter((method) => method.gpu_peak_bytes !== method.planned_peak_bytes);
  const planned = ran.length < methods.length ? ", or as planned where that is said" : "";
  return `GPU memory is what was allocated at most${planned}; ` +
    (other.length
      ? `it differs from the plan with ${other.map(({ name }) => plain(name)).join(", ")}.`
      : "it is what was planned, to the byte.");
}

function markdown({ head, rows }: TextTable): string {
  return markdownTable(head.map(plain), rows.map((cells) => cells.map(plain)), { right: true });
}
