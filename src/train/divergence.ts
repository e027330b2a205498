/** What is said of a run whose loss rises, or is not finite. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { UserError } from "../options/user_error.ts";
import { ranksText } from "../parallel/ranks.ts";
import type { Saved, StepMetrics } from "./events.ts";
import type { LossWatch } from "./loss_watch.ts";

/** What helps. */
const ADVICE = phrase`lower ${option("lr")}, lengthen ${option("warmupSteps")}, or try
  ${option("dtype", "float32")}`;

/** The loss or the gradients of a run are not finite, which ends it. */
export class NotFiniteError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "NotFiniteError";
}

/** Whether a run may go on after a step. */
export function isFiniteStep({ loss, grad_norm = 0 }: Pick<StepMetrics, "loss" | "grad_norm">) {
  return Number.isFinite(loss) && Number.isFinite(grad_norm);
}

/** What these ranks have trained by themselves up to a step is lost. */
export function ranksNotFiniteError(step: number, ranks: readonly number[]): NotFiniteError {
  return new NotFiniteError(
    `step ${step}: what ${ranksText(ranks)} trained by ${
      ranks.length > 1 ? "themselves" : "itself"
    } is not finite; what was saved before is whole`,
    ADVICE,
  );
}

/**
 * A loss that is not finite ends a run, as does a norm of the gradients that is not: no factor makes
 * such gradients an update.
 */
export function notFiniteError(
  { step, loss, grad_norm }: Pick<StepMetrics, "step" | "loss" | "grad_norm">,
  { checkpoint }: Saved,
): NotFiniteError {
  const what = Number.isFinite(loss)
    ? `the norm of the gradients is ${grad_norm}`
    : `the loss is ${loss}`;
  return new NotFiniteError(
    `step ${step}: ${what}; ` +
      (checkpoint ? `the last good checkpoint is ${checkpoint}` : "no checkpoint exists yet"),
    phrase`${ADVICE}; no checkpoint was overwritten`,
  );
}

/** A loss above where it began; without `step`, at the end of the run. */
export function divergence({ start, mean }: LossWatch, step?: number): Phrase {
  const where = step === undefined ? "the loss ended" : `step ${step}: the loss stays`;
  return phrase`${where} above where it began: ${mean.toFixed(2)} now, ${
    start!.toFixed(2)
  } at the start, so the run diverges: ${ADVICE}`;
}
