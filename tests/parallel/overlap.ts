/** One of the processes of overlap_test.ts: trains each case in several ways. */
import { Gpu } from "../../src/gpu/gpu.ts";
import { openRanks } from "../../src/parallel/open_ranks.ts";
import { report } from "./support.ts";
import { CASES, LEAST_BYTES, type Trained, trainSteps } from "./support_steps.ts";

/** With sums within the backward pass, and what their weights must be those of. */
export interface Ways {
  readonly within: Trained;
  /** Sums after it, or of rank 0 all batches by itself, if it adds in the same order. */
  readonly other?: Trained;
}

const ranks = openRanks(), { rank, size } = ranks;
using gpu = await Gpu.open();
const all: Record<string, Ways> = {};
for (const [name, given] of Object.entries(CASES)) {
  const within = await trainSteps(gpu, given, { size, ranks, leastBytes: LEAST_BYTES });
  const alone = !given.batches && !given.format;
  const other = alone ? { size } : { size, ranks, leastBytes: Infinity };
  all[name] = {
    within,
    other: alone && rank > 0 ? undefined : await trainSteps(gpu, given, other),
  };
}
report(rank, all);
await ranks.close();
