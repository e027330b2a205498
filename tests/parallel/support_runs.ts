/** Runs that several processes share, and what each of them reports. */
import { assertEquals } from "@std/assert";
import type { PretrainInput } from "../../src/train/options.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { inRanks } from "./support.ts";

export interface RankRun {
  readonly options: PretrainInput;
  /** What single ranks do otherwise. */
  readonly ofRank?: Readonly<Record<number, PretrainInput>>;
  /** The rank that kills itself as training begins, or asks for a stop. */
  readonly dies?: number;
  readonly stops?: number;
}

export interface RankReport {
  readonly rank: number;
  /** Bytes sent in each sum of values. */
  readonly sums: readonly number[];
  /** Of weights, by rank, at each comparison. */
  readonly checksums: readonly (readonly string[])[];
  readonly events: readonly TrainingEvent[];
  readonly error?: string;
}

/** By run, then by rank. */
export async function trainInRanks(
  size: number,
  runs: readonly RankRun[],
): Promise<RankReport[][]> {
  const { code, reports, stderr } = await tryInRanks(size, runs);
  assertEquals(reports.flatMap(({ error }) => error ?? []), []);
  assertEquals([code, stderr], [0, ""]);
  return runs.map((_, index) =>
    Array.from({ length: size }, (_, rank) => reports.filter((each) => each.rank === rank)[index])
  );
}

/** The same of what may fail. */
export async function tryInRanks(size: number, runs: readonly RankRun[]): Promise<{
  readonly code: number;
  readonly reports: readonly RankReport[];
  readonly stderr: string;
}> {
  const { code, stdout, stderr } = await inRanks(size, "train.ts", [JSON.stringify(runs)]);
  const reports = stdout.trim().split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as RankReport);
  return { code, reports, stderr };
}
