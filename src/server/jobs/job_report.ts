/** The report of a job's run as a page, made when it is asked for; nothing is written. */
import { join } from "../../packages/std_path.ts";
import { statOf } from "../../files/stat.ts";
import { explain, type Explanation } from "../../options/user_error.ts";
import { RUN_FILES } from "../../report/read_run.ts";
import { ApiError } from "../api_error.ts";
import { ask } from "../processes/ask.ts";
import { denoProcess } from "../processes/deno_process.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { Storage } from "../services.ts";
import type { JobRecord } from "../store/records.ts";

/** The process's output. */
export type ReportMade = { readonly page: string } | { readonly refused: Explanation };

/** What the process is given. */
export interface ReportTask {
  readonly folder: string;
  readonly id: string;
  /** What the page shows for the run's own values of these options, which are paths. */
  readonly options: Readonly<Record<string, unknown>>;
}

interface Made {
  /** The state of the run that it shows. */
  readonly stamp: string;
  readonly report: Promise<ReportMade>;
  isOver: boolean;
}

const PROGRAM = new URL("./job_report_process.ts", import.meta.url).href;
/** Milliseconds; a report takes a second or two. */
const TIMEOUT = 60_000;
/** Pages of some 100 KB that are kept. */
const MOST_KEPT = 16;

/** By folder, the latest last. */
const kept = new Map<string, Made>();
/** Resolves when no report is being made: one at a time, since they must not take a run's cores. */
let idle: Promise<unknown> = Promise.resolve();

/** The page, in the words of the job's request. Throws an ApiError 404 if nothing has been trained. */
export async function jobReport(
  job: ReportedJob,
  { storage }: { readonly storage: Pick<Storage, "jobFolder"> },
): Promise<string> {
  const folder = storage.jobFolder(job.id), stamp = await stampOf(folder);
  let made = kept.get(folder);
  // Whoever asks while one is being made gets that, so that a job never has two processes.
  if (!made || made.isOver && made.stamp !== stamp) made = begin(job, folder, stamp);
  const report = await made.report;
  if ("page" in report) return report.page;
  throw new ApiError(404, {
    message: `Job ${job.id} has no report yet: ${
      explain(report.refused, REQUEST).replaceAll(folder, "its run")
    }`,
    param: "id",
    code: "no_report",
  });
}

type ReportedJob = Pick<
  JobRecord,
  "id" | "kind" | "model" | "options" | "trainingFiles" | "validationFiles"
>;

/** Changes with what the page is made of. */
async function stampOf(folder: string): Promise<string> {
  const all = await Promise.all(RUN_FILES.map((name) => statOf(join(folder, name))));
  return all.map((info) => info ? `${info.size} ${info.mtime?.getTime()}` : "none").join();
}

function begin(job: ReportedJob, folder: string, stamp: string): Made {
  const task = { folder, id: job.id, options: optionsAsAsked(job) };
  const report = idle.then(() => make(task));
  idle = report.catch(() => {});
  const made: Made = { stamp, report, isOver: false };
  kept.delete(folder);
  kept.set(folder, made);
  const [oldest] = kept.keys();
  if (kept.size > MOST_KEPT) kept.delete(oldest);
  report.then(() => made.isOver = true, () => {
    if (kept.get(folder) === made) kept.delete(folder);
  });
  return made;
}

async function make(task: ReportTask): Promise<ReportMade> {
  const args = [JSON.stringify(task)];
  const child = denoProcess(PROGRAM, { read: [task.folder] }, { args }).spawn();
  const asked = await ask<ReportMade>(child, TIMEOUT);
  if ("answer" in asked) return asked.answer;
  throw new Error(`the process that makes a report ${asked.failure.end}: ${asked.failure.stderr}`);
}

/** The options for which run_options.ts gives a run paths, as the request has them. */
function optionsAsAsked({ id, kind, model, options, ...files }: ReportedJob): Values {
  const { from, tokenizer } = options;
  const own = typeof options.model === "string" ? options.model : "of the request";
  return {
    ...(kind === "fine_tuning" ? { model } : { model: own, from, tokenizer }),
    data: files.trainingFiles,
    evalData: files.validationFiles,
    output: id,
  };
}

type Values = Readonly<Record<string, unknown>>;
