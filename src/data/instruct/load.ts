/** Encodes all examples of a data set, and counts what was skipped or cut. */
import type { Tokenizer } from "../../tokenizers/tokenizer.ts";
import type { ChatTemplate } from "./chat_template.ts";
import { encodeExample, type EncodeExampleOptions } from "./encode.ts";
import type { Example } from "./example.ts";
import { emptyReport, type InstructReport } from "./report.ts";
import { examplesOf, type SourceFiles } from "./sources.ts";
import { ExampleStore } from "./store.ts";
import { spelledMarks } from "./templates.ts";

export interface LoadOptions extends EncodeExampleOptions {
  /** Longer examples are truncated at the end. */
  readonly seqLen: number; // T
  /** Whether an example belongs to this share of the data. */
  readonly selects: (example: Example) => boolean;
  readonly onProgress?: (done: { examples: number; tokens: number }) => void;
}

export interface LoadedExamples {
  readonly store: ExampleStore;
  readonly report: InstructReport;
  /** Undefined if there was no dialogue. */
  readonly template?: ChatTemplate;
}

const PROGRESS_EVERY = 500;

/** Throws a {@link UserError} with the place of the first example that cannot be encoded. */
export async function loadExamples(
  listed: readonly SourceFiles[],
  options: LoadOptions,
): Promise<LoadedExamples> {
  const { tokenizer, seqLen, selects, onProgress } = options;
  const store = new ExampleStore(), report = emptyReport();
  let template: ChatTemplate | undefined;
  const encoding = { ...options, template: () => template ??= options.template() };
  let read = 0;
  for await (const example of examplesOf(listed)) {
    if (selects(example)) {
      keep(example, encodeExample(example, encoding), seqLen, store, report);
    } else {
      report.others++;
    }
    if (++read % PROGRESS_EVERY === 0) onProgress?.(progressOf(report));
  }
  onProgress?.(progressOf(report));
  if (template) report.notes.push(...notesOn(template, tokenizer));
  return { store, report, template };
}

/** Keeps an example, cut to a row, or counts why not. */
function keep(
  example: Example,
  { ids, trained, lost }: ReturnType<typeof encodeExample>,
  seqLen: number,
  store: ExampleStore,
  report: InstructReport,
): void {
  const { skipped } = report;
  const learned = (end: number) => {
    let count = 0;
    for (let i = 1; i < end; i++) count += trained[i]; // the first token is never predicted
    return count;
  };
  report.lostTurns += lost;
  if (example.kind === "chat" && !example.messages.some(({ role }) => role === "assistant")) {
    skipped.noAnswer++;
    return;
  }
  if (learned(ids.length) === 0) {
    if (lost > 0) skipped.rewritten++;
    else skipped.nothingLearned++;
    return;
  }
  const length = Math.min(ids.length, seqLen), count = learned(length);
  if (count === 0) {
    skipped.cutAway++;
    return;
  }
  if (length < ids.length) report.truncated++;
  store.add(ids.slice(0, length), trained.subarray(0, length));
  report.examples++;
  report.tokens += length;
  report.trainedTokens += count;
}

function notesOn(template: ChatTemplate, tokenizer: Tokenizer): string[] {
  const spelled = spelledMarks(template, tokenizer);
  if (spelled.length === 0) return [];
  return [
    `${template.options.name} marks turns with ${spelled.join(" ")}, for which the tokenizer has ` +
    "no tokens of their own: they are spelled out, and generation does not stop at them",
  ];
}

function progressOf({ examples, tokens }: InstructReport) {
  return { examples, tokens };
}
