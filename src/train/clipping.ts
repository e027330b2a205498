/** Describes how a run clips gradients. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { clippingOf } from "../optim/optimizer_shape.ts";
import type { TrainingShape } from "./build.ts";

/** What one norm is of, and why; undefined for a run that does not clip. */
export function clippingText(
  { optimizer, trained }: Pick<TrainingShape, "optimizer" | "trained">,
  maxGradNorm: number,
): Phrase | undefined {
  const of = optimizer.projection && !optimizer.projection.fira ? ", low-rank where projected" : "";
  const limit = option("maxGradNorm", maxGradNorm);
  const cancels = cancelledBy(optimizer);
  switch (clippingOf(optimizer, trained === "adapters")) {
    case undefined:
      return undefined;
    case "step":
      return phrase`${limit} clips all gradients of a step by their common norm${of}${cancels}`;
    case "matrix":
      return phrase`${limit} clips the gradient of each matrix by its own norm${of}, because updates
        are fused into the backward pass: ${option("layerwise", false)}, or
        ${option("gradientAccumulation")} above 1, clips by the common norm${cancels}`;
  }
}

/**
 * What divides gradients of matrices by their norms after they are clipped: a factor of the whole
 * matrix then cancels. Stable-SPAM's running means still see the clipped norms.
 */
function cancelledBy({ rules, stableSpam }: TrainingShape["optimizer"]): Phrase {
  if (rules.matrices === "scale") {
    return "; SCALE then divides by norms, so only what the head and vectors learn changes";
  }
  return stableSpam
    ? phrase`; ${
      option("stableSpam")
    } then brings matrices to their usual norms, so what these learn
        hardly changes`
    : "";
}
