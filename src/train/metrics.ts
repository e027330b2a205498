/** metrics.jsonl, one line per step, and summary.json. */
import { join } from "../packages/std_path.ts";
import { writeAll, writeJson } from "../files/atomic.ts";
import { explainWriteError } from "../files/disk_error.ts";
import type { StepMetrics, Summary } from "./events.ts";

export const METRICS_FILE = "metrics.jsonl";
export const SUMMARY_FILE = "summary.json";

/**
 * Appends to metrics.jsonl. No step appears twice: a resumed run first truncates the lines after
 * its checkpoint, and a partial line left by a killed process.
 */
export class Metrics<Line extends { readonly step: number } = StepMetrics> {
  readonly #unwritten: Uint8Array[] = [];

  private constructor(
    readonly path: string,
    readonly file: Deno.FsFile,
    /** Bytes of whole lines. */
    private length: number,
  ) {}

  /**
   * `afterStep`: the step that the run resumes from, 0 for a new one. `name`: of a file that is kept
   * likewise.
   */
  static async open<Line extends { readonly step: number } = StepMetrics>(
    output: string,
    afterStep: number,
    name: string = METRICS_FILE,
  ): Promise<Metrics<Line>> {
    await Deno.mkdir(output, { recursive: true });
    const path = join(output, name);
    const file = await Deno.open(path, { read: true, write: true, create: true });
    const kept = await lengthUpTo(path, afterStep);
    await file.truncate(kept);
    await file.seek(kept, Deno.SeekMode.Start);
    return new Metrics<Line>(path, file, kept);
  }

  /** Lines that the disk has no room for are kept, and written before those of the next call. */
  async append(lines: readonly Line[]): Promise<void> {
    const encoder = new TextEncoder();
    this.#unwritten.push(...lines.map((line) => encoder.encode(JSON.stringify(line) + "\n")));
    try {
      for (let [line] = this.#unwritten; line; [line] = this.#unwritten) {
        await writeAll(this.file, line);
        this.length += line.length;
        this.#unwritten.shift();
      }
    } catch (error) {
      // Part of a line may have been written.
      await this.file.truncate(this.length).catch(() => {}); // report the cause
      await this.file.seek(this.length, Deno.SeekMode.Start);
      throw explainWriteError(error, this.path);
    }
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/** Steps whose figures an earlier run has left in a folder. */
export async function stepsReported(output: string): Promise<number> {
  const text = await Deno.readTextFile(join(output, METRICS_FILE)).catch(() => "");
  return text.split("\n").filter((line) => stepOf(line) !== undefined).length;
}

/** Bytes of the leading complete lines up to `lastStep`. */
async function lengthUpTo(path: string, lastStep: number): Promise<number> {
  const bytes = await Deno.readFile(path);
  const decoder = new TextDecoder();
  let kept = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, kept)) {
    const step = stepOf(decoder.decode(bytes.subarray(kept, end)));
    if (step === undefined || step > lastStep) break;
    kept = end + 1;
  }
  return kept;
}

function stepOf(line: string): number | undefined {
  try {
    return (JSON.parse(line) as StepMetrics).step;
  } catch {
    return undefined;
  }
}

/** Writes summary.json atomically. */
export async function writeSummary(output: string, summary: Summary): Promise<void> {
  await writeJson(join(output, SUMMARY_FILE), summary);
}
