/** The process that makes the report of a job's folder: drawing takes a second that the server has not. */
import { UserError } from "../../options/user_error.ts";
import { writeReport } from "../../report/report.ts";
import { programArguments } from "../processes/own_program.ts";
import type { ReportMade } from "./job_report.ts";

const [folder] = programArguments();
console.log(JSON.stringify(await report(folder)));

async function report(folder: string): Promise<ReportMade> {
  try {
    const { html } = await writeReport(folder);
    return { html };
  } catch (error) {
    if (error instanceof UserError) return { refused: error.explanation };
    throw error;
  }
}
