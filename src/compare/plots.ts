/** The plots of a comparison, as data. */
import { join } from "../packages/std_path.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import type { BarChart, LineChart, LinePoint, PointChart } from "../plot/chart.ts";
import { readLines } from "../report/lines.ts";
import { lossAxis } from "../report/loss_axis.ts";
import { byteUnit, formatBytes } from "../text.ts";
import type { StepMetrics } from "../train/events.ts";
import { METRICS_FILE } from "../train/metrics.ts";
import type { CompareRecord, RunRecord } from "./record.ts";

/** Points of a line at most, and the share of a run that the mean of one is taken over. */
const POINTS = 200, WINDOW = 0.02;
/** The part of a run whose losses would leave little of the axis to the rest. */
const BEGINNING = 0.08;

/** Loss against steps: the mean over the seeds, and their range. */
export async function lossChart(output: string, record: CompareRecord): Promise<LineChart> {
  const { methods, steps } = record;
  const lines = await Promise.all(methods.map(async ({ name, runs }) => ({
    name,
    points: meanOf(
      await Promise.all(
        runs.filter(({ status }) => status === "done").map((run) => lossesOf(output, run, steps)),
      ),
    ),
  })));
  return {
    type: "lines",
    title: `Training loss over ${steps} steps${seedsText(record)}`,
    x: { title: "step", domain: [1, Math.max(2, steps)] },
    y: lossAxis(lines.flatMap(({ points }) => points), BEGINNING * steps),
    lines,
  };
}

/** Loss against the most memory, of methods that have both: one kind of loss for all. */
export function memoryLossChart(record: CompareRecord): PointChart {
  const isHeldOut = record.methods.some(({ eval_loss }) => eval_loss);
  const points = record.methods.flatMap((method) => {
    const { name, gpu_peak_bytes: bytes, eval_loss, tail_loss } = method;
    const loss = isHeldOut ? eval_loss : tail_loss;
    if (bytes === undefined || !loss) return [];
    const { mean, sd } = loss;
    const range = sd === undefined ? undefined : { low: mean - sd, high: mean + sd };
    return [{ name, bytes, y: mean, ...range }];
  });
  const unit = byteUnit(Math.max(0, ...points.map(({ bytes }) => bytes)));
  return {
    type: "points",
    title: `${isHeldOut ? "Held-out loss" : "Training loss at the end"} against GPU memory` +
      seedsText(record),
    x: { title: `GPU memory at its peak, ${unit.name}` },
    y: { title: "loss, nats a token" },
    points: points.map(({ bytes, ...point }) => ({ ...point, x: bytes / unit.size })),
  };
}

/** Memory at the peak: by purpose as planned, and what was allocated of those that ran. */
export function memoryChart({ methods }: CompareRecord): BarChart {
  const known = methods.flatMap(({ planned_peak_bytes: each }) => each ?? []);
  const unit = byteUnit(Math.max(0, ...known));
  const inUnits = (bytes: number) => bytes / unit.size;
  return {
    type: "bars",
    title: "GPU memory at its peak",
    x: { title: unit.name },
    parts: [...PURPOSES.map((purpose) => purpose.replaceAll("_", " ")), "allocated"],
    bars: methods.flatMap(({ name, by_purpose, planned_peak_bytes, gpu_peak_bytes }) => [
      ...by_purpose
        ? [{
          name: `${name}, planned`,
          values: [...PURPOSES.map((purpose) => inUnits(by_purpose[purpose])), 0],
          label: formatBytes(planned_peak_bytes ?? 0),
        }]
        : [],
      ...gpu_peak_bytes === undefined ? [] : [{
        name: `${name}, allocated`,
        values: [...PURPOSES.map(() => 0), inUnits(gpu_peak_bytes)],
        label: formatBytes(gpu_peak_bytes),
      }],
    ]),
  };
}

function seedsText({ seeds }: CompareRecord): string {
  return seeds.length > 1 ? `, mean of ${seeds.length} seeds` : "";
}

/** Means over windows, at the same steps for every run of a comparison. */
async function lossesOf(
  output: string,
  { folder }: RunRecord,
  steps: number,
): Promise<LinePoint[]> {
  const { lines } = await readLines<StepMetrics>(join(output, folder, METRICS_FILE));
  const width = Math.max(1, Math.round(steps * WINDOW)), stride = Math.max(1, steps / POINTS);
  const points: LinePoint[] = [];
  for (let end = Math.min(width, lines.length); end <= lines.length;) {
    const window = lines.slice(Math.max(0, end - width), end);
    if (!window.length) break;
    points.push({
      x: lines[end - 1].step,
      y: window.reduce((sum, { loss }) => sum + loss, 0) / window.length,
    });
    if (end === lines.length) break;
    end = Math.min(lines.length, Math.max(end + 1, Math.round(end + stride)));
  }
  return points;
}

function meanOf(runs: readonly (readonly LinePoint[])[]): LinePoint[] {
  const [first = []] = runs;
  return first.map(({ x }, at) => {
    const values = runs.flatMap((points) => points[at]?.y ?? []);
    const y = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.length < 2
      ? { x, y }
      : { x, y, low: Math.min(...values), high: Math.max(...values) };
  });
}
