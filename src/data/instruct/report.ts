/** Statistics of loading a data set. */
import { UserError } from "../../options/user_error.ts";
import { option, type Phrase, phrase } from "../../options/phrase.ts";

/** Counts of a data set's examples and tokens, by what happened to them. */
export interface InstructReport {
  /** Examples used for training (or evaluation). */
  examples: number;
  /** Examples of the other share: held out, or those for training if this is the held-out share. */
  others: number;
  /** Examples skipped, by reason. */
  readonly skipped: Record<SkipReason, number>;
  /** Examples truncated at the end. */
  truncated: number;
  /** Tokens of all examples, and those that are predicted and trained on. */
  tokens: number;
  /** Tokens of the examples that the loss counts. */
  trainedTokens: number;
  /** The assistant's turns that the template shows differently from how they are generated. */
  lostTurns: number;
  /** Notes for the user. */
  readonly notes: string[];
}

/**
 * Why an example is not trained on: it has no assistant turn, the template rewrites its answers,
 * nothing of it is learned, or its answers begin beyond the end of a row.
 */
export type SkipReason = "noAnswer" | "rewritten" | "nothingLearned" | "cutAway";

const REASONS: Record<SkipReason, string> = {
  noAnswer: "without an assistant turn",
  rewritten: "whose answers the chat template rewrites",
  nothingLearned: "with no tokens to train on",
  cutAway: "whose answers start after the end of a row",
};

export function emptyReport(): InstructReport {
  return {
    examples: 0,
    others: 0,
    skipped: { noAnswer: 0, rewritten: 0, nothingLearned: 0, cutAway: 0 },
    truncated: 0,
    tokens: 0,
    trainedTokens: 0,
    lostTurns: 0,
    notes: [],
  };
}

/** "3 without a turn of the assistant, 1 with nothing to learn"; empty if none was skipped. */
export function skippedText({ skipped }: InstructReport): string {
  return (Object.keys(REASONS) as SkipReason[])
    .filter((reason) => skipped[reason] > 0)
    .map((reason) => `${skipped[reason]} ${REASONS[reason]}`)
    .join(", ");
}

/** Throws a {@link UserError} with the reasons if no example is left. */
export function assertExamples(
  report: InstructReport,
  { what, seqLen, hint }: { what: string; seqLen: number; hint?: Phrase },
): void {
  if (report.examples > 0) return;
  const skipped = skippedText(report);
  if (!skipped) throw new UserError(`${what} has no examples`, hint);
  throw new UserError(
    `${what} has no example to train on: ${skipped}`,
    report.skipped.cutAway > 0
      ? phrase`rows are of ${seqLen} tokens: ${option("seqLen")} sets it higher`
      : hint,
  );
}
