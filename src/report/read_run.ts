/** The folder of a run, finished or not, as far as it can be read. */
import { basename, join, resolve } from "../packages/std_path.ts";
import { statOf } from "../files/stat.ts";
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
  const steps = metrics.lines.filter(({ step, loss }) => isNumber(step) && isNumber(loss));
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
    run: run.value,
    summary: summary.value,
    steps,
    samples: samples.lines,
    refreshes: joined(steps, refreshes.lines),
    missing: [
      ...run.missing ? [`${RUN_FILE} ${run.missing}: options and plan are unknown`] : [],
      ...summary.missing ? [`${SUMMARY_FILE} ${summary.missing}: the run has not ended`] : [],
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
      similarity: record?.similarities?.[at] ?? undefined,
      interval: record?.intervals?.[at],
    }));
  });
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
