/** The process that makes a job's report: drawing takes a second. */
import { UserError } from "../../options/user_error.ts";
import { readRunFolder, type RunFolder } from "../../report/read_run.ts";
import { reportPage } from "../../report/report.ts";
import { programArguments } from "../processes/own_program.ts";
import type { ReportMade, ReportTask } from "./job_report.ts";

const [task] = programArguments();
console.log(JSON.stringify(await report(JSON.parse(task))));

async function report(task: ReportTask): Promise<ReportMade> {
  try {
    const run = await readRunFolder(task.folder);
    return { page: await reportPage(inWordsOfRequest(run, task)) };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}

/** Only whole values of options are replaced: samples and prompts may hold the same characters. */
function inWordsOfRequest(folder: RunFolder, { folder: path, id, options }: ReportTask): RunFolder {
  const { run, missing } = folder;
  const shown = Object.entries(run?.options ?? {}).map(([name, value]) => [
    name,
    Object.hasOwn(options, name) ? options[name] : value,
  ]);
  return {
    ...folder,
    run: run && { ...run, options: Object.fromEntries(shown) },
    missing: missing.map((fault) => fault.replaceAll(path, id)),
  };
}
