/** Statistics of loading a data set. */
import { joinPhrases, option, type Phrase, phrase } from "../../options/phrase.ts";
import { type Explanation, inOneLine, UserError } from "../../options/user_error.ts";
import {
  addFinding,
  describeFinding,
  type Finding,
  type FindingKind,
  remedyOf,
} from "./findings.ts";

/** Counts of a data set's examples and tokens, by what happened to them. */
export interface InstructReport {
  /** Records read. */
  records: number;
  /** Examples used for training (or evaluation). */
  examples: number;
  /** Examples of the other share: held out, or those for training if this is the held-out share. */
  others: number;
  /** Examples skipped, by reason. */
  readonly skipped: Record<SkipReason, number>;
  /** Examples that cannot be used as they are. */
  unusable: number;
  /** Examples truncated at the end. */
  truncated: number;
  /** Tokens of all examples, and those that are predicted and trained on. */
  tokens: number;
  /** Tokens of the examples that the loss counts. */
  trainedTokens: number;
  /** Examples that are not learned as they stand, by kind. */
  readonly findings: Finding[];
  /** Notes for the user. */
  readonly notes: Phrase[];
}

/**
 * Why an example is not trained on: it has no assistant turn, the template rewrites its answers,
 * nothing of it is learned, or its answers begin beyond the end of a row.
 */
export type SkipReason = "noAnswer" | "rewritten" | "nothingLearned" | "cutAway";

export function emptyReport(): InstructReport {
  return {
    records: 0,
    examples: 0,
    others: 0,
    skipped: { noAnswer: 0, rewritten: 0, nothingLearned: 0, cutAway: 0 },
    unusable: 0,
    truncated: 0,
    tokens: 0,
    trainedTokens: 0,
    findings: [],
    notes: [],
  };
}

/** Counts an example that cannot be used as it is, under each of the kinds. */
export function addUnusable(
  report: InstructReport,
  kinds: readonly FindingKind[],
  where: string,
  fault?: Explanation,
): void {
  report.unusable++;
  for (const kind of kinds) addFinding(report.findings, kind, where, fault && inOneLine(fault));
}

/** All examples of a data set that cannot be used as they are. */
export class UnusableError extends UserError {
  /** As it appears in a stack trace. */
  override readonly name = "UnusableError";

  /** One error for all findings that end a run, a line for each kind. */
  constructor(report: Pick<InstructReport, "records" | "unusable" | "findings">) {
    const findings = report.findings.filter(({ effect }) => effect === "unusable");
    super(
      joinPhrases([
        `${report.unusable} of ${report.records} examples would not be learned as written:`,
        ...findings.map(describeFinding),
      ], "\n  "),
      hintFor(findings),
    );
  }
}

function hintFor(findings: readonly Finding[]): Phrase {
  const remedies = [...new Set(findings.flatMap(({ kind }) => remedyOf(kind) ?? []))];
  const leave = phrase`leave these examples out with ${option("skipUnusable", true)}`;
  if (!remedies.length) return leave;
  return phrase`choose another chat template with ${option("template")}: ${
    remedies.join(", ")
  }; or ${leave}`;
}

/** What becomes of examples that are not learned as they stand, a line for each kind. */
export function findingLines({ findings }: Pick<InstructReport, "findings">): Phrase[] {
  const lead = { unusable: "left out: ", skipped: "skipped: ", changed: "" };
  return findings.map((each) => phrase`${lead[each.effect]}${describeFinding(each)}`);
}

/** "2 examples without an assistant turn; …"; empty if none was skipped. */
export function skippedText({ findings }: Pick<InstructReport, "findings">): Phrase {
  const skipped = findings.filter(({ effect }) => effect !== "changed");
  return joinPhrases(skipped.map(describeFinding), "; ");
}

/** Throws a {@link UserError} with the reasons if no example is left. */
export function assertExamples(
  report: InstructReport,
  { what, seqLen, hint }: { what: string; seqLen: number; hint?: Phrase },
): void {
  if (report.examples > 0) return;
  const skipped = skippedText(report);
  if (skipped.length === 0) throw new UserError(`${what} has no examples`, hint);
  throw new UserError(
    phrase`${what} has no example to train on: ${skipped}`,
    report.skipped.cutAway > 0
      ? phrase`rows are of ${seqLen} tokens: ${option("seqLen")} sets it higher`
      : hint,
  );
}
