/** What of a data set is not learned as it stands in its files, counted by kind. */
import { joinPhrases, option, type Phrase, phrase } from "../../options/phrase.ts";
import { UserError } from "../../options/user_error.ts";

/**
 * What becomes of examples: `unusable` ones end the run unless they are to be left out, `skipped`
 * ones are not trained on, `changed` ones are, but not quite as they stand.
 */
export type Effect = "unusable" | "skipped" | "changed";

/** Effect; what follows "5 examples"; for unusable ones, what would help. */
const KINDS = {
  invalid: ["unusable", "with values that have no meaning"],
  unsupported: ["unusable", "with fields that carry meaning but cannot be trained on"],
  order: ["unusable", "with turns out of order"],
  refused: [
    "unusable",
    "that the chat template refuses",
    "a template whose rules the dialogues keep",
  ],
  lostSystem: [
    "unusable",
    "with a system prompt that the chat template does not write",
    "a template with system prompts, or the prompt at the start of the user's first message",
  ],
  lostTools: [
    "unusable",
    "with tools that the chat template does not write",
    "a template made for tools, or no such field",
  ],
  lostToolCalls: [
    "unusable",
    "with tool calls that the chat template does not write",
    "a template made for tools",
  ],
  lostToolResults: [
    "unusable",
    "with results of tools that the chat template does not write",
    "a template made for tools",
  ],
  lostContent: [
    "unusable",
    "with messages whose text the chat template does not write",
    "a template that writes all of a message",
  ],
  lostThoughts: [
    "unusable",
    "with thoughts that the chat template does not write",
    "a template made for thoughts, or the thoughts in the text as <think>…</think>",
  ],
  noAnswer: ["skipped", "without an assistant turn"],
  rewritten: ["skipped", "whose answers the chat template rewrites"],
  nothingLearned: ["skipped", "with no tokens to train on"],
  cutAway: ["skipped", "whose answers start after the end of a row"],
  cutThoughts: ["changed", "with thoughts that the chat template removes: they are not learned"],
  rewrittenTurns: [
    "changed",
    "with answers that the chat template rewrites when more turns follow: these are not learned",
  ],
  lostNames: ["changed", "with names that the chat template does not write"],
  emptyAnswers: ["changed", "with an empty answer, which is learned as such"],
  unanswered: ["changed", "without a last answer: nothing after the one before is learned"],
  twoSystems: [
    "changed",
    "with a system prompt both as a field and as the first message: the message is used",
  ],
} as const satisfies Record<string, readonly [Effect, string, string?]>;

/** What examples have in common: a kind of {@link Finding}. */
export type FindingKind = keyof typeof KINDS;

/** The examples of one kind. */
export interface Finding {
  readonly kind: FindingKind;
  /** `unusable`, `skipped`, or `changed`: trained on, but not quite as they stand. */
  readonly effect: Effect;
  count: number;
  /** Where the first of them are: "chats.jsonl:17". */
  readonly first: string[];
  /** What is wrong with these, if it differs from one to the next. */
  readonly messages: Phrase[];
}

const SHOWN = 3;

/** Counts an example under a kind. */
export function addFinding(
  findings: Finding[],
  kind: FindingKind,
  where: string,
  message?: Phrase,
): void {
  let finding = findings.find((each) => each.kind === kind);
  if (!finding) {
    finding = { kind, effect: KINDS[kind][0], count: 0, first: [], messages: [] };
    findings.push(finding);
  }
  finding.count++;
  if (finding.first.length >= SHOWN) return;
  finding.first.push(where);
  if (message !== undefined) finding.messages.push(message);
}

/** "2 examples with … (a.jsonl:3; a.jsonl:9)", or a line for each of the first. */
export function describeFinding({ kind, count, first, messages }: Finding): Phrase {
  const what = `${count} ${count === 1 ? "example" : "examples"} ${KINDS[kind][1]}`;
  const rest = count > first.length ? [`and ${count - first.length} more`] : [];
  if (!messages.length) return `${what} (${[...first, ...rest].join("; ")})`;
  return joinPhrases([`${what}:`, ...messages, ...rest], "\n    ");
}

/** Examples that end a run, with all of their kinds. */
export class UnusableError extends UserError {
  override readonly name = "UnusableError";

  /** Only the findings whose effect that is, of `examples` in all. */
  constructor(readonly findings: readonly Finding[], examples: number) {
    const count = findings.reduce((sum, each) => sum + each.count, 0);
    const hints: Phrase[] = findings.flatMap(({ kind }) => {
      const [, , hint] = KINDS[kind] as readonly [Effect, string, string?];
      return hint ? [hint] : [];
    });
    super(
      joinPhrases([
        `${count} of ${examples} examples cannot be trained on as they are:`,
        ...findings.map(describeFinding),
      ], "\n  "),
      joinPhrases([
        ...new Set(hints),
        phrase`${option("skipUnusable")} leaves these examples out`,
      ], "; "),
    );
  }
}
