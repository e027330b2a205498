/**
 * How long a run over examples is. Three passes over a small set would be a handful of steps, which
 * teach nothing: of what the user leaves open, batches then get smaller and passes more.
 */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import { counted } from "../text.ts";

/** Passes over the examples, of a set large enough. */
export const USUAL_EPOCHS = 3;

/** Steps that a run should have, unless asked otherwise: OpenAI's fewest, whose batches are 1. */
export const LEAST_STEPS = 100;

/** Passes that a run has at most, unless asked otherwise: OpenAI's, again. */
export const MOST_EPOCHS = 25;

/** Fewer steps than these rarely change a model, whatever they are chosen for. */
const FEW_STEPS = 30;

/** What is given of a run's length; both leave the rest open. */
export interface AskedLength {
  readonly epochs?: number;
  readonly steps?: number;
  readonly batchSize: number;
  readonly gradientAccumulation: number;
}

/** The length of a run. */
export interface RunLength {
  readonly steps: number;
  /** Passes over the examples. */
  readonly epochs: number;
  /** Whether the set was too small for the usual ones. */
  readonly small: boolean;
}

/**
 * Sequences per batch that leave enough steps in the usual passes, at most `usual`, where a step takes
 * so many `batches`.
 */
export function batchOfSmallSet(rows: number, usual: number, batches = 1): number {
  return Math.min(usual, Math.max(1, Math.floor(USUAL_EPOCHS * rows / LEAST_STEPS / batches)));
}

/**
 * Passes are those over the present data: of a run that goes on with more of it, or with another
 * batch, what was read counts as far as it goes.
 *
 * @param rows sequences of a pass over the examples
 * @param done what the run has behind it
 */
export function runLength(
  rows: number,
  asked: AskedLength,
  done: { readonly steps: number; readonly rows: number } = { steps: 0, rows: 0 },
): RunLength {
  const perStep = asked.batchSize * asked.gradientAccumulation;
  const isUsual = done.rows === done.steps * perStep;
  const stepsOf = (epochs: number) =>
    isUsual
      ? Math.ceil(epochs * rows / perStep)
      : done.steps + Math.max(0, Math.ceil((epochs * rows - done.rows) / perStep));
  if (asked.steps !== undefined) {
    return { steps: asked.steps, epochs: asked.steps * perStep / rows, small: false };
  }
  if (asked.epochs !== undefined) {
    return { steps: stepsOf(asked.epochs), epochs: asked.epochs, small: false };
  }
  const enough = Math.ceil(LEAST_STEPS * perStep / rows);
  const epochs = Math.max(USUAL_EPOCHS, Math.min(MOST_EPOCHS, enough));
  return { steps: stepsOf(epochs), epochs, small: epochs > USUAL_EPOCHS };
}

/** For the user: what was chosen, or that what was asked for is little. */
export function lengthNote(
  { steps, epochs, small }: RunLength,
  asked: AskedLength,
  { examples, rows }: { readonly examples: number; readonly rows: number },
): Phrase | undefined {
  const set = `${counted(examples, "example")} in ${counted(rows, "sequence")}`;
  const { batchSize } = asked, passes = option("epochs"), batch = option("batchSize");
  if (small) {
    return phrase`${set}: ${epochs} epochs in batches of ${batchSize} make ${steps} steps, chosen
      for a small set (${passes} and ${batch} set them)`;
  }
  if (steps >= FEW_STEPS) return undefined;
  const more = asked.steps === undefined
    ? phrase`more ${passes} or a smaller ${batch} make more`
    : phrase`set more ${option("steps")}, or none`;
  return phrase`a run of ${counted(steps, "step")} teaches little: ${set} (${more})`;
}
