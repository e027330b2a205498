/** Checks the rows of a Parquet file in a process of its own: decoding a row group takes long. */
import { denoProcess } from "../processes/deno_process.ts";
import { ask } from "../processes/ask.ts";
import { Faults, type FoundFaults, invalidFile } from "./faults.ts";
import type { Purpose } from "../store/file_kinds.ts";

/** The process's output. */
export interface CheckedRows extends FoundFaults {
  readonly rows: number;
}

/** Milliseconds. */
const TIMEOUT = 10 * 60_000;

const PROGRAM = new URL("./parquet_rows_process.ts", import.meta.url).href;

/** Throws an ApiError 400 with the first bad rows and their number. */
export async function checkRows(
  { path, filename, purpose }: {
    readonly path: string;
    readonly filename: string;
    readonly purpose: Purpose;
  },
): Promise<void> {
  const args = [path, filename, purpose];
  const asked = await ask<CheckedRows>(
    denoProcess(PROGRAM, { read: [path] }, { args }).spawn(),
    TIMEOUT,
  );
  if ("failure" in asked) {
    const { end, said } = asked.failure;
    throw invalidFile(`The rows cannot be read: the process that did ${end}: ${said.slice(-500)}`);
  }
  const { rows, ...found } = asked.answer;
  new Faults(found).finish(rows);
}
