/** What is said of how a run clips gradients. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { clippingOf } from "../optim/optimizer_state.ts";
import type { TrainingShape } from "./build.ts";

/** What one norm is of, and why; undefined for a run that does not clip. */
export function clippingText(
  { optimizer, trained }: Pick<TrainingShape, "optimizer" | "trained">,
  maxGradNorm: number,
): Phrase | undefined {
  const of = optimizer.projection && !optimizer.projection.fira ? ", low-rank where projected" : "";
  const limit = option("maxGradNorm", maxGradNorm);
  switch (clippingOf(optimizer, trained === "adapters")) {
    case undefined:
      return undefined;
    case "step":
      return phrase`${limit} clips all gradients of a step by their common norm${of}`;
    case "matrix":
      return phrase`${limit} clips the gradient of each matrix by its own norm${of}, because updates
        are fused into the backward pass: ${option("gradientAccumulation")} above 1 clips by the
        common norm`;
  }
}
