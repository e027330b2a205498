/** The folder of a run, finished or not, as far as it can be read. */
import { basename, join, resolve } from "../packages/std_path.ts";
import { isObject } from "../files/fields.ts";
import { statOf } from "../files/stat.ts";
import { PURPOSES } from "../gpu/tensor.ts";
import { UserError } from "../options/user_error.ts";
import type { StepMetrics, Summary } from "../train/events.ts";
import { METRICS_FILE, SUMMARY_FILE } from "../train/metrics.ts";
import {
  REFRESHES_FILE,
  RUN_FILE,
  type RunRecordFile,
  type SampleRecord,
  SAMPLES_FILE,
} from "../train/run_record.ts";
import type { RefreshRecord } from "../train/submitted_steps.ts";
import { type Lines, readLines, readObject } from "./lines.ts";

/** What of a run's folder is read. */
export const RUN_FILES: readonly string[] = [
  RUN_FILE,
  SUMMARY_FILE,
  METRICS_FILE,
  SAMPLES_FILE,
  REFRESHES_FILE,
];

/** A refresh of one matrix. */
export interface MatrixRefresh {
  readonly step: number;
  /** Its parameter's name. */
  readonly matrix: string;
  /** |cos| of the leading vector and the one before; undefined of a first. */
  readonly similarity?: number;
  /** Steps from then on between refreshes. */
  readonly interval?: number;
}

/** What was found. */
export interface RunFolder {
  readonly name: string;
  readonly run?: Partial<RunRecordFile>;
  readonly summary?: Partial<Summary>;
  readonly steps: readonly StepMetrics[];
  readonly refreshes: readonly MatrixRefresh[];
  readonly samples: readonly SampleRecord[];
  /** What could not be read, for people. */
  readonly missing: readonly string[];
}

/** Throws a {@link UserError} if the folder holds no run. */
export async function readRunFolder(folder: string): Promise<RunFolder> {
  if (!(await statOf(folder))?.isDirectory) {
    throw new UserError(`${folder}: is no folder`, "give the output folder of a run");
  }
  const at = (name: string) => join(folder, name);
  const run = await readObject<RunRecordFile>(at(RUN_FILE));
  const summary = await readObject<Summary>(at(SUMMARY_FILE));
  const metrics = await readLines<StepMetrics>(at(METRICS_FILE));
  const samples = await readLines<SampleRecord>(at(SAMPLES_FILE));
  const refreshes = await readLines<RefreshRecord>(at(REFRESHES_FILE));
  const steps = metrics.lines.filter(({ step, loss }) => isNumber(step) && isNumber(loss))
    .map((line) => checked(line, STEP_FIELDS));
  const ended = summary.value && checked(summary.value, SUMMARY_FIELDS);
  const isStale = isOfOtherSteps(ended, steps.at(-1));
  if (metrics.missing && run.missing && summary.missing) {
    throw new UserError(
      `${folder}: holds no run: ${METRICS_FILE} ${metrics.missing}`,
      "give the output folder of a run",
    );
  }
  const projected = steps.some(({ refreshed }) => refreshed);
  const faults = (name: string, { missing, damaged }: Lines<object>, wanted = true) => [
    ...missing && wanted ? [`${name} ${missing}`] : [],
    ...damaged ? [`${name} has ${damaged} damaged line${damaged === 1 ? "" : "s"}`] : [],
  ];
  return {
    name: basename(resolve(folder)),
    run: run.value && checkedRun(run.value),
    summary: isStale ? undefined : ended,
    steps,
    samples: samples.lines.filter(({ step, prompt, text }) =>
      isNumber(step) && typeof prompt === "string" && typeof text === "string"
    ),
    refreshes: joined(steps, refreshes.lines),
    missing: [
      ...run.missing ? [`${RUN_FILE} ${run.missing}: options and plan are unknown`] : [],
      ...summary.missing ? [`${SUMMARY_FILE} ${summary.missing}: the run has not ended`] : [],
      ...isStale ? [`${SUMMARY_FILE} is of other steps than ${METRICS_FILE}: it is left out`] : [],
      ...faults(METRICS_FILE, metrics),
      ...faults(SAMPLES_FILE, samples, false),
      ...faults(REFRESHES_FILE, refreshes, projected),
    ],
  };
}

/** The matrices of a refresh are named in the figures of its step. */
function joined(
  steps: readonly StepMetrics[],
  records: readonly RefreshRecord[],
): MatrixRefresh[] {
  const byStep = new Map(records.map((record) => [record.step, record]));
  return steps.flatMap(({ step, refreshed = [] }) => {
    const record = byStep.get(step);
    return refreshed.map((matrix, at) => ({
      step,
      matrix,
      similarity: numberAt(record?.similarities, at),
      interval: numberAt(record?.intervals, at),
    }));
  });
}

function numberAt(values: unknown, at: number): number | undefined {
  const value: unknown = Array.isArray(values) ? values[at] : undefined;
  return isNumber(value) ? value : undefined;
}

/** Whether a summary is of a run that has since been continued or replaced. */
function isOfOtherSteps(summary?: Partial<Summary>, last?: StepMetrics): boolean {
  if (!summary || !last) return false;
  const { tokens, final_loss } = summary;
  return isNumber(last.tokens) && tokens !== last.tokens ||
    final_loss !== undefined && final_loss !== last.loss;
}

type Type = "number" | "string" | "boolean" | "object" | "list";

const NUMBER_FIELDS = [
  "grad_norm",
  "lr",
  "tokens",
  "tokens_per_second",
  "step_ms",
  "gpu_bytes",
  "gpu_peak_bytes",
  "subspace_refreshes",
  "eval_loss",
  "eval_perplexity",
] as const;

const numbers = (names: readonly string[]) => names.map((name) => [name, "number"] as const);
const typesOf = (...fields: (readonly [string, Type])[]): ReadonlyMap<string, Type> =>
  new Map(fields);

const STEP_FIELDS = typesOf(...numbers(NUMBER_FIELDS), ["refreshed", "list"]);
const SUMMARY_FIELDS = typesOf(
  ...numbers([
    ...NUMBER_FIELDS,
    "final_loss",
    "first_eval_loss",
    "subspace_refreshes_fixed_interval",
  ]),
  ["adapter", "string"],
  ["diverged", "boolean"],
);
const RUN_FIELDS = typesOf(
  ["started_at", "string"],
  ["program", "string"],
  ["options", "object"],
  ["given", "list"],
  ["plan", "object"],
);
const PLAN_FIELDS = typesOf(
  ...numbers(["steps", "parameters", "planned_peak_bytes", "allocated_bytes", "memory_limit"]),
  ["by_purpose", "object"],
  ["adapter", "string"],
);
const PURPOSE_FIELDS = typesOf(...numbers(PURPOSES));

/** Without fields of another type than theirs, such as the null that JSON has for an infinite loss. */
function checked<Value extends object>(value: Value, types: ReadonlyMap<string, Type>): Value {
  const fields = Object.entries(value).filter(([name, field]) => {
    const type = types.get(name);
    return type === undefined || typeOf(field) === type;
  });
  return Object.fromEntries(fields) as Value;
}

function checkedRun(value: Partial<RunRecordFile>): Partial<RunRecordFile> {
  const run = checked(value, RUN_FIELDS), plan = run.plan && checked(run.plan, PLAN_FIELDS);
  const purposes = plan?.by_purpose && checked(plan.by_purpose, PURPOSE_FIELDS);
  return {
    ...run,
    ...plan && { plan: { ...plan, ...purposes && { by_purpose: purposes } } },
  };
}

function typeOf(value: unknown): Type | undefined {
  if (Array.isArray(value)) return "list";
  if (isObject(value)) return "object";
  if (typeof value === "number") return Number.isFinite(value) ? "number" : undefined;
  return typeof value === "string" || typeof value === "boolean" ? typeof value as Type : undefined;
}

function isNumber(value: unknown): value is number {
  return typeOf(value) === "number";
}
