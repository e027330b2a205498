/**
 * Checks records in a process of its own: a row group takes long to decode, a row of a table may be
 * of any size, and a compressed file as well.
 */
import { denoProcess } from "../processes/deno_process.ts";
import { ask } from "../processes/ask.ts";
import type { CheckedRecords, FileToCheck } from "./check_records.ts";
import { invalidFile } from "./faults.ts";

/** Milliseconds. */
const TIMEOUT = 10 * 60_000;

const PROGRAM = new URL("./check_records_process.ts", import.meta.url).href;

/** Throws an ApiError 400 if the process gives no answer. */
export async function askRecords(
  { path, filename, purpose, ending = "" }: FileToCheck,
): Promise<CheckedRecords> {
  const asked = await ask<CheckedRecords>(
    denoProcess(PROGRAM, { read: [path] }, { args: [path, filename, purpose, ending] }).spawn(),
    TIMEOUT,
  );
  if ("answer" in asked) return asked.answer;
  const { end, stderr } = asked.failure;
  throw invalidFile(`The rows cannot be read: the process that did ${end}: ${stderr.slice(-500)}`);
}
