/** The report of a job's run: the page that its run leaves at its end, or one that is made now. */
import { join } from "../../packages/std_path.ts";
import { isThere } from "../../files/stat.ts";
import { explain, type Explanation } from "../../options/user_error.ts";
import { ApiError } from "../api_error.ts";
import { ask } from "../processes/ask.ts";
import { denoProcess } from "../processes/deno_process.ts";
import { REQUEST } from "../protocol/spelling.ts";
import type { ServerOptions } from "../options.ts";
import type { JobRecord } from "../store/records.ts";
import { escapeXml } from "../../text.ts";
import { type Places, withoutPaths } from "./wording.ts";

/** The process's output. */
export type ReportMade = { readonly html: string } | { readonly refused: Explanation };

const PROGRAM = new URL("./job_report_process.ts", import.meta.url).href;
/** Milliseconds; a report takes a second or two. */
const TIMEOUT = 60_000;

/** By folder: whoever asks meanwhile gets the same. */
const underWay = new Map<string, Promise<ReportMade>>();

/**
 * The page, which names files by their ids. One is made, by a process that may read and write the job's folder alone,
 * unless the run has succeeded and left its own. Throws an ApiError 404 if nothing has been trained.
 */
export async function jobReport(job: ReportedJob, places: ReportPlaces): Promise<string> {
  const page = await Deno.readTextFile(await pathOfReport(job, places.storage));
  const { from, tokenizer } = job.options, { modelsFolder } = places.options;
  const models = [job.model, from, tokenizer].filter((name) => typeof name === "string");
  return models.reduce(
    (text, name) => text.replaceAll(escapeXml(join(modelsFolder, name)), escapeXml(name)),
    withoutPaths(page, job, places, escapeXml),
  );
}

type ReportedJob = Pick<
  JobRecord,
  "id" | "status" | "model" | "options" | "trainingFiles" | "validationFiles"
>;
type ReportPlaces = Places & { readonly options: Pick<ServerOptions, "modelsFolder"> };

async function pathOfReport(
  { id, status }: ReportedJob,
  storage: Places["storage"],
): Promise<string> {
  const folder = storage.jobFolder(id), own = join(folder, "report.html");
  if (status === "succeeded" && await isThere(own)) return own;
  let making = underWay.get(folder);
  if (!making) {
    making = make(folder).finally(() => underWay.delete(folder));
    underWay.set(folder, making);
  }
  const made = await making;
  if ("html" in made) return made.html;
  throw new ApiError(404, {
    message: `Job ${id} has no report yet: ${
      explain(made.refused, REQUEST).replaceAll(folder, "its run")
    }`,
    param: "id",
    code: "no_report",
  });
}

async function make(folder: string): Promise<ReportMade> {
  const child = denoProcess(PROGRAM, { read: [folder], write: [folder] }, { args: [folder] })
    .spawn();
  const asked = await ask<ReportMade>(child, TIMEOUT);
  if ("answer" in asked) return asked.answer;
  throw new Error(`the process that makes a report ${asked.failure.end}: ${asked.failure.stderr}`);
}
