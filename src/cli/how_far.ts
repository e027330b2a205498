/** How far a run is within a step, or with what it does beside its steps, in words. */
import type { ProgressEvent, RunPhase } from "../train/events.ts";
import { formatBytes } from "../text.ts";
import type { HowFar } from "./working.ts";

/** Phases whose `done` and `total` are bytes. */
const IN_BYTES: readonly RunPhase[] = [
  "saving a checkpoint",
  "checking the best model",
  "loading the best model",
  "saving the model",
];

/** `backward pass, layer 3 of 24`, `refreshing subspace 17 of 168, layer 3 of 24`, `batch 3`. */
export function howFar(event: ProgressEvent): HowFar {
  const { phase, part, layer, layers, subspace, subspaces, done, total, seconds_left } = event;
  if (phase === "training") {
    const detail = part &&
      (part === "refresh"
        ? `refreshing subspace ${subspace} of ${subspaces}, layer ${layer} of ${layers}`
        : `${part} pass, layer ${layer} of ${layers}`);
    return { detail, secondsLeft: seconds_left };
  }
  if (done === undefined) return {};
  const text = IN_BYTES.includes(phase) ? formatBytes : String;
  if (total) return { share: done / total, detail: `${text(done)} of ${text(total)}` };
  // Of a first evaluation it is not known how many batches it has.
  return { detail: done && phase === "evaluating" ? `batch ${done}` : undefined };
}
