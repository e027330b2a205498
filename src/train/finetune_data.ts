/** The data of a fine-tuning run: examples, or texts for continued pre-training. */
import { counted } from "../text.ts";
import { BatchStream, type DataPosition } from "../data/batches.ts";
import type { Batch } from "../model/batch.ts";
import { datasetSources } from "../data/instruct/dataset_info.ts";
import { describeFinding } from "../data/instruct/findings.ts";
import { findingLines, type InstructReport } from "../data/instruct/report.ts";
import { shareOf } from "../data/instruct/held_out_count.ts";
import { dataNames } from "../data/data.ts";
import { exampleSources, kindOfData } from "../data/instruct/sources.ts";
import { type InstructPosition, InstructStream } from "../data/instruct/stream.ts";
import { onAScreen, option, type Phrase, phrase, spell } from "../options/phrase.ts";
import { PROPERTIES } from "../options/spelling.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { DataReport, OnPreparation } from "./events.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import type { TrainingData } from "./recipe.ts";
import { HeldOut } from "./held_out.ts";
import { notingRepeats } from "./repeats.ts";
import { lengthNote, runLength } from "./small_set.ts";
import { UserError } from "../options/user_error.ts";
import { wasGiven } from "../options/schema.ts";

export interface FinetuneData {
  readonly kind: "instruct" | "text";
  open(
    position?: unknown,
    onPreparation?: OnPreparation,
    done?: number,
  ): Promise<TrainingData>;
  openEvaluation(): Promise<AsyncIterable<Batch> | undefined>;
}

/** Determines the kind of data; reads nothing yet. */
export async function finetuneData(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<FinetuneData> {
  const kind = options.dataset ? "instruct" : await kindOfData(options.data!);
  return kind === "text"
    ? textData(options, tokenizer, vocabSize)
    : await instructData(options, tokenizer, vocabSize);
}

/** The examples of a run, encoded; for a preview as well. */
export async function openExamples(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<InstructStream> {
  return await InstructStream.open({
    ...await instructOptions(options, tokenizer, vocabSize),
    split: "train",
  });
}

async function instructData(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<FinetuneData> {
  const shared = await instructOptions(options, tokenizer, vocabSize);
  // The held-out examples are drawn at random: of a handful, possibly none.
  let noneHeldOut = options.evalShare === 0;
  const openHeldOut = () => InstructStream.open({ ...shared, split: "eval", repeat: false });
  // Opened before the first step, for its faults, and used by the first evaluation.
  let checked: InstructStream | undefined;
  return {
    kind: "instruct",
    async open(position, onPreparation, done = 0) {
      const batches = await InstructStream.open({
        ...shared,
        onProgress: ({ examples: count }) =>
          onPreparation?.({ type: "preparation", what: "encoding examples", count }),
        split: "train",
        repeat: true,
        position: position as InstructPosition | undefined,
      });
      const rows = options.batchSize * options.gradientAccumulation;
      const length = runLength(batches.rowsPerEpoch, options, {
        steps: done,
        rows: batches.rowsRead,
      });
      const { steps } = length;
      const { report: { examples }, rowsPerEpoch } = batches;
      const note = lengthNote(length, options, { examples, rows: rowsPerEpoch });
      const warnings: Phrase[] = [...reportText(batches.report, options), ...note ? [note] : []];
      if (wasGiven(options, "textField")) {
        warnings.push(
          phrase`${option("textField", options.textField)} has no effect: the data is examples, not
            text`,
        );
      }
      if (!shared.evalData && !noneHeldOut && batches.report.others === 0) {
        noneHeldOut = true;
        warnings.push(
          phrase`none of the ${batches.report.examples} examples fell into the held-out share of
            ${options.evalShare}, so nothing is evaluated (increase ${option("evalShare")} or set
            ${option("evalData")})`,
        );
      }
      const evaluates = shared.evalData !== undefined || !noneHeldOut;
      if (evaluates) checked = await openHeldOut();
      return {
        batches,
        ...stepsOf(options, steps),
        stepsPerEpoch: batches.rowsPerEpoch / rows,
        evaluates,
        warnings,
        report: dataReport(batches.report),
      };
    },
    async openEvaluation() {
      if (!shared.evalData && noneHeldOut) return undefined;
      const first = checked;
      checked = undefined;
      return first ?? await openHeldOut();
    },
  };
}

/** The options of a stream of the examples. */
export async function instructOptions(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
) {
  const { data, dataset, datasetDir, evalData, evalDataset, dataFormat, evalShare } = options;
  const named = async (names?: readonly string[]) =>
    names ? await datasetSources(datasetDir, names) : [];
  const sources = (given: typeof data, name: string) => given ? exampleSources(given, name) : [];
  const evaluated = [...sources(evalData, "evalData"), ...await named(evalDataset)];
  const trained = [...sources(data, "data"), ...await named(dataset)];
  const format = dataFormat === "auto" ? undefined : dataFormat;
  return {
    ...options,
    data: trained,
    evalData: evaluated.length ? evaluated : undefined,
    tokenizer,
    vocabSize,
    format,
    // From 1 on it is a number of examples.
    heldOutShare: evalShare < 1 || evaluated.length
      ? Math.min(evalShare, 0.5)
      : await shareOf(evalShare, trained, { format, maxSamples: options.maxSamples }),
    position: undefined,
  };
}

function textData(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): FinetuneData {
  const { data, evalData, evalShare, batchSize, seqLen, seed, textField, steps } = options;
  const shared = {
    data: data!,
    evalData,
    tokenizer,
    vocabSize,
    batchSize,
    seqLen,
    seed,
    textField,
    heldOutShare: evalShare,
  };
  let holdsOutFiles: boolean | undefined;
  const heldOut = new HeldOut(
    () => BatchStream.open({ ...shared, split: "eval", repeat: false, holdsOutFiles }),
    evalData ? undefined : evalShare,
  );
  return {
    kind: "text",
    async open(position) {
      const [first] = dataNames(data);
      if (!steps) {
        throw new UserError(
          phrase`${option("steps")} is required to train on text (${first}…): it is streamed, so the
            number of sequences is not known in advance`,
        );
      }
      refuseEpochs(options, first);
      if (evalShare >= 1 && !evalData) {
        throw new UserError(
          phrase`${option("evalShare", evalShare)} is a number of examples, but ${first} is text`,
          "give a share below 1",
        );
      }
      const batches = await BatchStream.open({
        ...shared,
        split: "train",
        repeat: true,
        position: position as DataPosition | undefined,
      });
      ({ holdsOutFiles } = batches);
      const { evaluates, warnings } = await heldOut.check();
      return {
        batches: notingRepeats(batches, { ...options, steps }),
        ...stepsOf(options, steps),
        evaluates,
        warnings: [...exampleNotes(options, first), ...batches.notes, ...warnings],
      };
    },
    openEvaluation: () => heldOut.open(),
  };
}

/** Passes over streamed text are not counted. */
function refuseEpochs(options: FinetuneOptions, first: string): void {
  for (const name of ["evalEvery", "saveEvery"] as const) {
    if (options[name] !== "epoch") continue;
    throw new UserError(
      phrase`${option(name, "epoch")} needs examples, but ${first} is text, which is streamed`,
      phrase`give a number of steps`,
    );
  }
}

/** Options of examples, which have no effect on texts. */
function exampleNotes(options: FinetuneOptions, first: string): Phrase[] {
  const names = [
    "template",
    "defaultSystem",
    "trainOnPrompt",
    "packing",
    "maxSamples",
    "dataFormat",
  ] as const;
  return names.filter((name) => wasGiven(options, name)).map((name) =>
    phrase`${option(name, options[name])} has no effect: ${first} is text, not examples`
  );
}

function stepsOf({ warmupSteps, warmupRatio }: FinetuneOptions, steps: number) {
  return { steps, warmupSteps: warmupSteps ?? Math.round(warmupRatio * steps) };
}

function dataReport(report: InstructReport): DataReport {
  const { records, examples, others, unusable, truncated, tokens, trainedTokens } = report;
  return {
    records,
    examples,
    held_out: others,
    unusable,
    truncated,
    tokens,
    trained_tokens: trainedTokens,
    notes: report.notes.map((note) => spell(onAScreen(note), PROPERTIES)),
    findings: report.findings.map((finding) => {
      const { kind, effect, count, first } = finding;
      return { kind, effect, count, first, message: spell(describeFinding(finding), PROPERTIES) };
    }),
  };
}

/** Describes how the examples are used, unless all are used whole. */
export function reportText(
  report: InstructReport,
  { seqLen }: Pick<FinetuneOptions, "seqLen">,
): Phrase[] {
  const lines = [...report.notes, ...findingLines(report)];
  if (report.truncated) {
    lines.push(
      `truncated to ${seqLen} tokens: ${report.truncated} of ${
        counted(report.examples, "example")
      }`,
    );
  }
  return lines;
}
