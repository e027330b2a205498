/** What of a data set is not learned as it stands in its files, counted by kind. */
import { joinPhrases, type Phrase } from "../../options/phrase.ts";

/**
 * What becomes of examples: `unusable` ones end the run unless they are to be left out, `skipped`
 * ones are not trained on, `changed` ones are, but not quite as they stand.
 */
export type Effect = "unusable" | "skipped" | "changed";

/** What examples have in common: a kind of {@link Finding}. */
export type FindingKind =
  | "invalid"
  | "unsupported"
  | "order"
  | "refused"
  | "lostSystem"
  | "lostTools"
  | "lostToolCalls"
  | "lostToolResults"
  | "lostContent"
  | "lostThoughts"
  | "noAnswer"
  | "rewritten"
  | "nothingLearned"
  | "cutAway"
  | "cutThoughts"
  | "rewrittenTurns"
  | "lostToolDetails"
  | "lostNames"
  | "emptyAnswers"
  | "emptyQuestions"
  | "weightsUnused"
  | "controlTokens"
  | "unanswered"
  | "twoSystems";

/** Effect; what follows "5 examples"; for unusable ones, the template that would help. */
const KINDS: Readonly<Record<FindingKind, readonly [Effect, string, string?]>> = {
  invalid: ["unusable", "with invalid fields"],
  unsupported: ["unusable", "with fields that carry meaning but cannot be trained on"],
  order: ["unusable", "with turns out of order"],
  refused: [
    "unusable",
    "that the chat template refuses",
    "one that accepts these dialogues",
  ],
  lostSystem: [
    "unusable",
    "with a system prompt that the chat template does not write",
    "one with system prompts",
  ],
  lostTools: [
    "unusable",
    "with tools that the chat template does not write",
    "one made for tools",
  ],
  lostToolCalls: [
    "unusable",
    "with tool calls that the chat template does not write",
    "one made for tools",
  ],
  lostToolResults: [
    "unusable",
    "with results of tools that the chat template does not write",
    "one made for tools",
  ],
  lostContent: [
    "unusable",
    "with messages whose text the chat template does not write",
    "one that writes all of a message",
  ],
  lostThoughts: [
    "unusable",
    "with thoughts that the chat template does not write",
    "one made for thoughts (or write thoughts into the text, as <think>…</think>)",
  ],
  noAnswer: ["skipped", "without an assistant turn"],
  rewritten: ["skipped", "whose answers the chat template rewrites"],
  nothingLearned: ["skipped", "with no tokens to train on"],
  cutAway: ["skipped", "whose answers start after the end of a row"],
  cutThoughts: ["changed", "with thoughts that the chat template removes: they are not learned"],
  rewrittenTurns: [
    "changed",
    "with answers that cannot be located in what the chat template writes: these are not learned",
  ],
  lostToolDetails: [
    "changed",
    "with tools of which the chat template does not write descriptions or parameters",
  ],
  lostNames: ["changed", "with names that the chat template does not write"],
  emptyAnswers: ["changed", "with an empty answer, which is learned as such"],
  controlTokens: [
    "changed",
    "with special tokens of the chat template in their text: they are learned as such, not as text",
  ],
  weightsUnused: ["changed", "with answers of weight 0: they are learned, as prompts are"],
  emptyQuestions: ["changed", "with an empty question"],
  unanswered: ["changed", "without a last answer: nothing after the one before is learned"],
  twoSystems: [
    "changed",
    "with a system prompt both as a field and as the first message: the message is used",
  ],
};

/** The examples of one kind. */
export interface Finding {
  /** What is the matter with them. */
  readonly kind: FindingKind;
  /** `unusable`, `skipped`, or `changed`: trained on, but not quite as they stand. */
  readonly effect: Effect;
  /** How many there are. */
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

/** Unusable examples first, in one order whatever the data. */
export function sortFindings(findings: Finding[]): void {
  const order = Object.keys(KINDS);
  findings.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** "2 examples with … (a.jsonl:3; a.jsonl:9)", or a line for each of the first. */
export function describeFinding({ kind, count, first, messages }: Finding): Phrase {
  const what = `${count} ${count === 1 ? "example" : "examples"} ${KINDS[kind][1]}`;
  const rest = count > first.length ? [`and ${count - first.length} more`] : [];
  if (!messages.length) return `${what} (${[...first, ...rest].join("; ")})`;
  return joinPhrases([`${what}:`, ...messages, ...rest], "\n    ");
}

/** What becomes of the examples of a kind. */
export function effectOf(kind: FindingKind): Effect {
  return KINDS[kind][0];
}

/** The chat template that would help the examples of a kind. */
export function remedyOf(kind: FindingKind): string | undefined {
  return KINDS[kind][2];
}
