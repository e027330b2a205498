/** metrics.jsonl, one line per step, and summary.json. */
import { join } from "../packages/std_path.ts";
import type { StepMetrics, Summary } from "./events.ts";

const METRICS_FILE = "metrics.jsonl";
const SUMMARY_FILE = "summary.json";

/**
 * Appends to metrics.jsonl. No step appears twice: a resumed run first truncates the lines after
 * its checkpoint, and a partial line left by a killed process.
 */
export class Metrics {
  private constructor(readonly path: string, readonly file: Deno.FsFile) {}

  /** `afterStep`: the step that the run resumes from, 0 for a new one. */
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
  const path = join(output, SUMMARY_FILE), temporary = `${path}.tmp`;
  await Deno.writeTextFile(temporary, JSON.stringify(summary, null, 2) + "\n");
  await Deno.rename(temporary, path);
}
