/** The charts of a run, as data. */
import { PURPOSES } from "../gpu/tensor.ts";
import type { BarChart, Chart, HeatCell, HeatMap, LineChart, LinePoint } from "../plot/chart.ts";
import { byteUnit, formatBytes } from "../text.ts";
import type { StepMetrics } from "../train/events.ts";
import { lossAxis } from "./loss_axis.ts";
import type { MatrixRefresh, RunFolder } from "./read_run.ts";

/** Points of a line at most: a long run is no larger a report than a short one. */
const POINTS = 400;
/** The part of a run whose losses would leave little of the axis to the rest. */
const BEGINNING = 0.05;

/** A chart, and the name of its file. */
export interface NamedChart {
  readonly file: string;
  readonly chart: Chart;
}

/** Those for which there are figures. */
export function runCharts(run: RunFolder): NamedChart[] {
  const { steps, refreshes } = run;
  const charts: [string, Chart | undefined][] = [
    ["loss", steps.length ? lossChart(steps) : undefined],
    ["learning-rate", lineChart(steps, "Learning rate", "learning rate", ({ lr }) => lr)],
    ["gradient-norm", gradientChart(steps)],
    ["memory", memoryChart(run)],
    ["similarities", similarityChart(refreshes, steps.at(-1)?.step ?? 0)],
    ["intervals", intervalChart(refreshes)],
  ];
  return charts.flatMap(([file, chart]) => chart ? [{ file, chart }] : []);
}

function lossChart(steps: readonly StepMetrics[]): LineChart {
  const training = thinned(steps, ({ loss }) => loss);
  const heldOut = steps.flatMap(({ step, eval_loss }) =>
    eval_loss === undefined ? [] : [{ x: step, y: eval_loss }]
  );
  const first = steps[0].step, last = steps.at(-1)!.step;
  return {
    type: "lines",
    title: "Loss",
    x: { title: "step" },
    y: lossAxis([...training, ...heldOut], first + BEGINNING * (last - first)),
    lines: [
      // Evaluations are few: they lie on top.
      ...heldOut.length ? [{ name: "held-out", points: heldOut }] : [],
      { name: "training", points: training },
    ],
  };
}

function gradientChart(steps: readonly StepMetrics[]): LineChart | undefined {
  const known = steps.filter(({ grad_norm }) => grad_norm !== undefined);
  if (!known.length) return undefined;
  const chart = lineChart(known, "Norm of the gradients", "norm", (step) => step.grad_norm!);
  return chart && { ...chart, y: { title: "norm", scale: "log" } };
}

function lineChart(
  steps: readonly StepMetrics[],
  title: string,
  unit: string,
  value: (step: StepMetrics) => number,
): LineChart | undefined {
  if (!steps.length) return undefined;
  const lines = [{ name: title, points: thinned(steps, value) }];
  return { type: "lines", title, x: { title: "step" }, y: { title: unit }, lines };
}

/** Means of as many steps each, with their range. */
export function thinned(
  steps: readonly StepMetrics[],
  value: (step: StepMetrics) => number,
): LinePoint[] {
  const width = Math.ceil(steps.length / POINTS);
  return Array.from({ length: Math.ceil(steps.length / (width || 1)) }, (_, at) => {
    const part = steps.slice(at * width, (at + 1) * width), values = part.map(value);
    const x = part.at(-1)!.step, y = values.reduce((sum, each) => sum + each, 0) / values.length;
    return part.length === 1
      ? { x, y }
      : { x, y, low: Math.min(...values), high: Math.max(...values) };
  });
}

function memoryChart({ run, summary, steps }: RunFolder): BarChart | undefined {
  const plan = run?.plan?.by_purpose, planned = run?.plan?.planned_peak_bytes;
  if (!plan || planned === undefined) return undefined;
  const allocated = summary?.gpu_peak_bytes ?? steps.at(-1)?.gpu_peak_bytes;
  const { name: unit, size } = byteUnit(planned);
  const rest = PURPOSES.map(() => 0);
  return {
    type: "bars",
    title: "GPU memory at its peak",
    x: { title: unit },
    parts: [
      ...PURPOSES.map((purpose) => purpose.replaceAll("_", " ")),
      ...allocated === undefined ? [] : ["allocated"],
    ],
    bars: [
      {
        name: "planned",
        values: [...PURPOSES.map((purpose) => (plan[purpose] ?? 0) / size), 0],
        label: formatBytes(planned),
      },
      ...allocated === undefined ? [] : [{
        name: "allocated",
        values: [...rest, allocated / size],
        label: formatBytes(allocated),
      }],
    ],
  };
}

/** `model.layers.3.self_attn.q_proj.weight` */
const MATRIX = /layers\.(\d+)\..*?(\w+?)(?:_proj)?\.weight$/;

function placeOf(name: string): { layer: number; kind: string } | undefined {
  const [, layer, kind] = name.match(MATRIX) ?? [];
  return layer === undefined ? undefined : { layer: Number(layer), kind };
}

function layersOf(refreshes: readonly MatrixRefresh[]): number[] {
  const layers = refreshes.flatMap(({ matrix }) => placeOf(matrix)?.layer ?? []);
  return [...new Set(layers)].sort((a, b) => a - b);
}

/** Of each layer from one refresh to the next: the mean similarity of the matrices refreshed. */
function similarityChart(refreshes: readonly MatrixRefresh[], last: number): HeatMap | undefined {
  const layers = layersOf(refreshes);
  if (!layers.length) return undefined;
  const byLayer = Map.groupBy(refreshes, ({ matrix }) => placeOf(matrix)?.layer);
  const cells = layers.flatMap((layer): HeatCell[] => {
    const steps = [...Map.groupBy(byLayer.get(layer)!, ({ step }) => step)];
    return steps.map(([step, all], at) => {
      const known = all.flatMap(({ similarity }) => similarity ?? []);
      const value = known.length
        ? known.reduce((sum, each) => sum + each, 0) / known.length
        : undefined;
      const to = steps[at + 1]?.[0] ?? Math.max(last, step) + 1;
      return { row: String(layer), from: step, to, value };
    });
  });
  return {
    type: "heat",
    title: "Subspaces: similarity to the one before, by layer, until the next refresh",
    x: { title: "step" },
    rows: layers.map(String),
    rowTitle: "layer",
    cells,
    value: { title: "|cos|", domain: [0, 1], format: ".1f" },
  };
}

/** Of each matrix: the interval that its subspace has reached, and its refreshes. */
function intervalChart(refreshes: readonly MatrixRefresh[]): HeatMap | undefined {
  const layers = layersOf(refreshes);
  const latest = new Map<string, MatrixRefresh>(), counts = new Map<string, number>();
  for (const refresh of refreshes) {
    latest.set(refresh.matrix, refresh);
    counts.set(refresh.matrix, (counts.get(refresh.matrix) ?? 0) + 1);
  }
  const known = [...latest.values()].filter(({ interval }) => interval !== undefined);
  if (!layers.length || !known.length) return undefined;
  const kinds = [...new Set(known.flatMap(({ matrix }) => placeOf(matrix)?.kind ?? []))];
  const most = Math.max(...known.map(({ interval }) => interval!));
  return {
    type: "heat",
    title: "Subspaces: steps between refreshes, and refreshes so far (×)",
    x: { title: "projection" },
    columns: kinds,
    rows: layers.map(String),
    rowTitle: "layer",
    cells: known.flatMap(({ matrix, interval }) => {
      const place = placeOf(matrix);
      if (!place) return [];
      const from = kinds.indexOf(place.kind);
      const text = `${interval}  (${counts.get(matrix)}×)`;
      return [{ row: String(place.layer), from, to: from + 1, value: interval, text }];
    }),
    value: { title: "steps", domain: [0, most], format: ".0f" },
  };
}
