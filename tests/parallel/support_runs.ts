/** Runs that several processes share, and what each of them reports. */
import { assertEquals } from "@std/assert";
import type { PretrainInput } from "../../src/train/options.ts";
import type { TrainingEvent } from "../../src/train/events.ts";
import { inRanks, type Ranks } from "./support.ts";

export interface RankRun {
  readonly options: PretrainInput;
  /** What single ranks do otherwise. */
  readonly ofRank?: Readonly<Record<number, PretrainInput>>;
  /** The rank that kills itself as training begins, or asks for a stop. */
  readonly dies?: number;
  readonly stops?: number;
}

export interface RankReport {
  /** Bytes sent in each sum of values. */
  readonly sums: readonly number[];
  /** Of weights, by rank, at each comparison. */
  readonly checksums: readonly (readonly string[])[];
  readonly events: readonly TrainingEvent[];
  readonly error?: string;
}

/** By rank, then by run. */
export async function trainInRanks(
  size: number,
  runs: readonly RankRun[],
): Promise<Ranks<RankReport>["reports"]> {
  const { code, reports, stderr } = await tryInRanks(size, runs);
  assertEquals(reports.flat().flatMap(({ error }) => error ?? []), []);
  assertEquals([code, stderr], [0, ""]);
  return reports;
}

/** The same of what may fail. */
export function tryInRanks(size: number, runs: readonly RankRun[]): Promise<Ranks<RankReport>> {
  return inRanks(size, "train.ts", [JSON.stringify(runs)]);
}
