/** Encodes all examples of a data set, and counts what was skipped or cut. */
import { option, type Phrase, phrase } from "../../options/phrase.ts";
import { TextEnds } from "../../tokenizers/text_ends.ts";
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import { UnknownTokens } from "../../tokenizers/unknown_tokens.ts";
import type { DataFile } from "../files.ts";
import type { ChatTemplate } from "./chat_template.ts";
import { encodeExample, type EncodeExampleOptions } from "./encode.ts";
import type { Example } from "./example.ts";
import { ExampleCheck } from "./example_check.ts";
import { unlearnedEnd } from "./end_of_turn.ts";
import { addFinding, sortFindings } from "./findings.ts";
import {
  addUnusable,
  emptyReport,
  type InstructReport,
  type SkipReason,
  UnusableError,
} from "./report.ts";
import { examplesOf, type SourceFiles } from "./sources.ts";
import { ExampleStore } from "./store.ts";
import { spelledMarks } from "./templates.ts";

export interface LoadOptions extends EncodeExampleOptions {
  /** Longer examples are truncated at the end. */
  readonly seqLen: number; // T
  /** Whether an example belongs to this share of the data. */
  readonly selects: (example: Example) => boolean;
  /** Whether examples of the other share are checked too, so that all faults are found at once. */
  readonly checksOthers?: boolean;
  /** Leaves out examples that cannot be used as they are, which otherwise end the loading. */
  readonly skipUnusable?: boolean;
  /** System prompt of conversations without one. */
  readonly defaultSystem?: string;
  readonly onProgress?: (done: { examples: number; tokens: number }) => void;
}

export interface LoadedExamples {
  readonly store: ExampleStore;
  readonly report: InstructReport;
  /** The first example of each file that was read, in their order. */
  readonly starts: ReadonlyMap<DataFile, number>;
  /** Undefined if there was no dialogue. */
  readonly template?: ChatTemplate;
}

const PROGRESS_EVERY = 500;

/** Puts a system prompt before a conversation that has none. */
export function withSystem(example: Example, content: string | undefined): Example {
  if (content === undefined || example.kind !== "chat") return example;
  if (example.messages.some(({ role }) => role === "system")) return example;
  return { ...example, messages: [{ role: "system", content }, ...example.messages] };
}

/**
 * Throws an {@link UnusableError} with all examples that cannot be used as they are, unless they are
 * left out, and a {@link UserError} with the place of the first token that the model lacks.
 */
export async function loadExamples(
  listed: readonly SourceFiles[],
  options: LoadOptions,
): Promise<LoadedExamples> {
  const { tokenizer, seqLen, selects, checksOthers, skipUnusable, defaultSystem, onProgress } =
    options;
  const store = new ExampleStore(), report = emptyReport();
  let template: ChatTemplate | undefined;
  const ends = new TextEnds(tokenizer), unknown = new UnknownTokens();
  const encoding = { ...options, template: () => template ??= options.template(), ends, unknown };
  const check = new ExampleCheck(encoding, report);
  const starts = new Map<DataFile, number>();
  const examples = examplesOf(
    listed,
    ({ kind, explanation }, where) => {
      report.records++;
      addUnusable(report, [kind], where, explanation);
    },
    (file) => starts.set(file, store.count),
  );
  for await (const found of examples) {
    report.records++;
    const selected = selects(found), example = withSystem(found, defaultSystem);
    if (!selected) report.others++;
    // Not shown to the template, which may refuse what nothing is learned of anyway.
    const answered = hasAnswer(example);
    if (selected && !answered) skip(report, "noAnswer", example);
    const written = answered && (selected || checksOthers) ? check.written(example) : undefined;
    if (selected && written) {
      keep(example, encodeExample(example, encoding, written), seqLen, store, report);
    }
    if (report.records % PROGRESS_EVERY === 0) onProgress?.(progressOf(report));
  }
  onProgress?.(progressOf(report));
  sortFindings(report.findings);
  if (report.unusable > 0 && !skipUnusable) throw new UnusableError(report);
  report.notes.push(...check.notes());
  if (template) report.notes.push(...notesOn(template, tokenizer));
  report.notes.push(...[ends.note(), unknown.note()].filter((note) => note !== null));
  return { store, report, template, starts };
}

function hasAnswer(example: Example): boolean {
  return example.kind !== "chat" || example.messages.some(({ role }) => role === "assistant");
}

function skip(report: InstructReport, reason: SkipReason, { where }: Example): void {
  report.skipped[reason]++;
  addFinding(report.findings, reason, where);
}

/** Keeps an example, cut to a row, or counts why not. */
function keep(
  example: Example,
  { ids, trained, lost }: ReturnType<typeof encodeExample>,
  seqLen: number,
  store: ExampleStore,
  report: InstructReport,
): void {
  const learned = (end: number) => {
    let count = 0;
    for (let i = 1; i < end; i++) count += trained[i]; // the first token is never predicted
    return count;
  };
  if (learned(ids.length) === 0) {
    return skip(report, lost > 0 ? "rewritten" : "nothingLearned", example);
  }
  const length = Math.min(ids.length, seqLen), count = learned(length);
  if (count === 0) return skip(report, "cutAway", example);
  if (length < ids.length) report.truncated++;
  if (lost > 0) addFinding(report.findings, "rewrittenTurns", example.where);
  for (const remark of example.remarks ?? []) addFinding(report.findings, remark, example.where);
  store.add(ids.slice(0, length), trained.subarray(0, length));
  report.examples++;
  report.tokens += length;
  report.trainedTokens += count;
}

function notesOn(template: ChatTemplate, tokenizer: Tokenizer): Phrase[] {
  const spelled = spelledMarks(template, tokenizer), unlearned = unlearnedEnd(template);
  const notes: Phrase[] = unlearned === undefined ? [] : [unlearned];
  if (spelled.length === 0) return notes;
  return [
    ...notes,
    phrase`${template.options.name} marks turns with ${spelled.join(" ")}, for which the tokenizer
      has no tokens of their own: they are spelled out, and generation does not stop at them
      (${option("addTokens", spelled)} gives it some)`,
  ];
}

function progressOf({ examples, tokens }: InstructReport) {
  return { examples, tokens };
}
