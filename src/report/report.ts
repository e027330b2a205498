/**
 * The report of a run: report.html, one file, and report.md with its charts in `report/`. Made of what
 * lies in the output folder, so of an unfinished or damaged run as well.
 *
 * @module
 */
import { join } from "../packages/std_path.ts";
import { writeText } from "../files/atomic.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { drawChart } from "../plot/draw.ts";
import { formatBytes, formatCount, formatDuration } from "../text.ts";
import { type MethodName, METHODS } from "../train/methods.ts";
import { runCharts } from "./charts.ts";
import { asHtml, asMarkdown, type Part, type ReportDocument } from "./document.ts";
import { readRunFolder, type RunFolder } from "./read_run.ts";

const CHARTS = "report";
/** Evaluations and samples that are shown at most: the first and the latest. */
const MOST_ROWS = 40, MOST_SAMPLES = 12;

/** What {@link writeReport} has written, and what it could not read. */
export interface WrittenReport {
  /** report.html. */
  readonly html: string;
  /** report.md. */
  readonly markdown: string;
  /** What of the run is missing or damaged, for people. */
  readonly missing: readonly string[];
}

/**
 * Writes the report of a run into its output folder, whether it has ended or not. Takes about a second,
 * however long the run was. Throws a {@link UserError} if the folder holds no run.
 *
 * @example
 * ```ts
 * import { writeReport } from "@deno-galore/trainer";
 *
 * const { html } = await writeReport("runs/nano");
 * console.log(html);
 * ```
 */
export async function writeReport(folder: string): Promise<WrittenReport> {
  const run = await readRunFolder(folder);
  const document = await reportOf(run);
  const html = join(folder, "report.html"), markdown = join(folder, "report.md");
  await Deno.mkdir(join(folder, CHARTS), { recursive: true });
  for (const part of document.parts) {
    if (part.type === "chart") await writeText(join(folder, CHARTS, `${part.file}.svg`), part.svg);
  }
  await writeText(markdown, asMarkdown(document, CHARTS));
  await writeText(html, asHtml(document));
  return { html, markdown, missing: run.missing };
}

/** The page of a run, as {@link writeReport} writes it. */
export async function reportPage(run: RunFolder): Promise<string> {
  return asHtml(await reportOf(run));
}

async function reportOf(run: RunFolder): Promise<ReportDocument> {
  const { missing } = run, charts = new Map<string, Part>();
  for (const { file, chart } of runCharts(run)) {
    const { svg } = await drawChart(chart);
    charts.set(file, { type: "chart", title: chart.title, file, svg });
  }
  const shown = (...files: string[]) => files.flatMap((file) => charts.get(file) ?? []);
  const section = (text: string, parts: readonly Part[]): Part[] =>
    parts.length ? [{ type: "heading", text }, ...parts] : [];
  return {
    title: titleOf(run),
    parts: [
      ...missing.length ? section("What is missing", [{ type: "list", items: missing }]) : [],
      ...figures(run),
      ...section("Curves", shown("loss", "learning-rate", "gradient-norm")),
      ...section("Evaluations", evaluations(run)),
      ...section("GPU memory", [...shown("memory"), ...memory(run)]),
      ...section("Refreshes of subspaces", shown("similarities", "intervals")),
      ...section("Samples", samples(run)),
      ...section("Options", options(run)),
    ],
  };
}

function titleOf({ name, run }: RunFolder): string {
  const { optimizer, model, from } = run?.options ?? {};
  const method = METHODS[optimizer as MethodName]?.title ?? optimizer;
  return method === undefined ? name : `${name}: ${model ?? from ?? "a model"} with ${method}`;
}

function figures({ run, summary, steps }: RunFolder): Part[] {
  const last = steps.at(-1), plan = run?.plan;
  const done = last?.step ?? 0, seconds = steps.reduce((sum, { step_ms = 0 }) => sum + step_ms, 0);
  const nats = (loss: number) => `${loss.toFixed(4)} nats a token`;
  const evaluated = steps.findLast(({ eval_loss }) => eval_loss !== undefined);
  const evalLoss = summary?.eval_loss ?? evaluated?.eval_loss;
  const refreshes = summary?.subspace_refreshes ?? last?.subspace_refreshes;
  const fixed = summary?.subspace_refreshes_fixed_interval;
  const rows: [string, string | undefined][] = [
    ["Steps", plan?.steps === undefined ? `${done}` : `${done} of ${plan.steps}`],
    ["Tokens", text(summary?.tokens ?? last?.tokens, formatCount)],
    ["Parameters", text(plan?.parameters, formatCount)],
    ["Training loss", text(summary?.final_loss ?? last?.loss, nats)],
    ["Held-out loss before training", text(summary?.first_eval_loss, nats)],
    [
      "Held-out loss",
      text(evalLoss, (loss) => `${nats(loss)}, perplexity ${Math.exp(loss).toFixed(2)}`),
    ],
    ["Diverged", summary?.diverged ? "yes" : undefined],
    ["Time of the steps", seconds ? formatDuration(seconds / 1000) : undefined],
    ["Speed", text(last?.tokens_per_second, (speed) => `${speed.toFixed(0)} tokens/s at the end`)],
    [
      "Refreshes",
      refreshes ? `${refreshes}${fixed ? ` of ${fixed} at a fixed interval` : ""}` : undefined,
    ],
    ["GPU", summary?.adapter ?? plan?.adapter],
    ["Started", run?.started_at],
    ["Program", run?.program],
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return [{ type: "table", head: ["", ""], rows: known }];
}

function text<Value>(value: Value | undefined, format: (value: Value) => string) {
  return value === undefined || value === null ? undefined : format(value);
}

function evaluations({ steps }: RunFolder): Part[] {
  const all = steps.filter(({ eval_loss }) => eval_loss !== undefined);
  if (!all.length) return [];
  const rows = ends(all, MOST_ROWS).map(({ step, loss, eval_loss, eval_perplexity }) => [
    `${step}`,
    loss.toFixed(4),
    eval_loss!.toFixed(4),
    eval_perplexity?.toFixed(2) ?? "",
  ]);
  return [{ type: "table", head: ["step", "training loss", "held-out loss", "perplexity"], rows }];
}

function memory({ run, summary, steps }: RunFolder): Part[] {
  const plan = run?.plan, allocated = summary?.gpu_peak_bytes ?? steps.at(-1)?.gpu_peak_bytes;
  const bytes = (count: number) => `${formatBytes(count)} (${count} bytes)`;
  const rows: [string, string | undefined][] = [
    ...PURPOSES.map((purpose): [string, string | undefined] => [
      purpose.replaceAll("_", " "),
      text(plan?.by_purpose?.[purpose], bytes),
    ]),
    ["planned at its peak", text(plan?.planned_peak_bytes, bytes)],
    ["allocated at its peak", text(allocated, bytes)],
    ["in the driver's blocks", text(plan?.allocated_bytes, bytes)],
    ["limit", text(plan?.memory_limit, bytes)],
  ];
  const known = rows.filter((row): row is [string, string] => row[1] !== undefined);
  return known.length ? [{ type: "table", head: ["", ""], rows: known }] : [];
}

function samples({ samples }: RunFolder): Part[] {
  return ends(samples, MOST_SAMPLES).flatMap(({ step, prompt, text }): Part[] => [
    { type: "text", text: `Step ${step}: ${prompt}` },
    { type: "quote", text: `${text}` },
  ]);
}

function options({ run }: RunFolder): Part[] {
  const all = Object.entries(run?.options ?? {});
  if (!all.length) return [];
  const given = new Set(run?.given);
  const rows = all.map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
    given.has(name) ? "given" : "",
  ]).sort((a, b) => b[2].localeCompare(a[2]));
  return [{ type: "table", head: ["option", "value", ""], rows }];
}

/** All, or the first half and the last. */
function ends<Item>(items: readonly Item[], most: number): readonly Item[] {
  return items.length <= most
    ? items
    : [...items.slice(0, most >> 1), ...items.slice(-(most >> 1))];
}
