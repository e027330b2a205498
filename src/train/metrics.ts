/** metrics.jsonl, a line a step, and summary.json. */
import { join } from "@std/path";
import type { StepMetrics, Summary } from "./events.ts";

const METRICS_FILE = "metrics.jsonl";
const SUMMARY_FILE = "summary.json";

/**
 * Appends to metrics.jsonl. No step is in it twice: a run that goes on from a checkpoint first cuts
 * off the lines after it, and a line that was torn when a process was killed.
 */
export class Metrics {
  private constructor(readonly path: string, readonly file: Deno.FsFile) {}

  /** `afterStep`: the step that the run goes on from, 0 for a new one. */
  static async open(output: string, afterStep: number): Promise<Metrics> {
    await Deno.mkdir(output, { recursive: true });
    const path = join(output, METRICS_FILE);
    const file = await Deno.open(path, { read: true, write: true, create: true });
    const kept = await lengthUpTo(path, afterStep);
    await file.truncate(kept);
    await file.seek(kept, Deno.SeekMode.Start);
    return new Metrics(path, file);
  }

  async append(metrics: StepMetrics): Promise<void> {
    const line = new TextEncoder().encode(JSON.stringify(metrics) + "\n");
    for (let done = 0; done < line.length;) done += await this.file.write(line.subarray(done));
  }

  [Symbol.dispose](): void {
    this.file.close();
  }
}

/** Bytes of the leading lines that are whole and no later than `lastStep`. */
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

/** Writes summary.json whole or not at all. */
export async function writeSummary(output: string, summary: Summary): Promise<void> {
  const path = join(output, SUMMARY_FILE), temporary = `${path}.tmp`;
  await Deno.writeTextFile(temporary, JSON.stringify(summary, null, 2) + "\n");
  await Deno.rename(temporary, path);
}
