/** The data of a fine-tuning run: examples, or texts for continued pre-training. */
import { BatchStream, type DataPosition } from "../data/batches.ts";
import type { Batch } from "../model/batch.ts";
import { datasetSources } from "../data/instruct/dataset_info.ts";
import { findingLines, type InstructReport } from "../data/instruct/report.ts";
import { kindOfData } from "../data/instruct/sources.ts";
import { type InstructPosition, InstructStream } from "../data/instruct/stream.ts";
import { option, type Phrase, phrase } from "../options/phrase.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { OnPreparation } from "./events.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import type { TrainingData } from "./recipe.ts";
import { UserError } from "../options/user_error.ts";

export interface FinetuneData {
  readonly kind: "instruct" | "text";
  open(position?: unknown, onPreparation?: OnPreparation): Promise<TrainingData>;
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
  return {
    kind: "instruct",
    async open(position, onPreparation) {
      const batches = await InstructStream.open({
        ...shared,
        onProgress: ({ examples: count }) =>
          onPreparation?.({ type: "preparation", what: "encoding examples", count }),
        split: "train",
        repeat: true,
        position: position as InstructPosition | undefined,
      });
      const rows = options.batchSize * options.gradientAccumulation;
      const steps = options.steps ?? Math.ceil(options.epochs * batches.rowsPerEpoch / rows);
      const warnings: Phrase[] = reportText(batches.report, options);
      if (!shared.evalData && !noneHeldOut && batches.report.others === 0) {
        noneHeldOut = true;
        warnings.push(
          phrase`none of the ${batches.report.examples} examples fell into the held-out share of
            ${options.evalShare}, so nothing is evaluated (increase ${option("evalShare")} or set
            ${option("evalData")})`,
        );
      }
      return { batches, ...stepsOf(options, steps), warnings };
    },
    async openEvaluation() {
      if (!shared.evalData && noneHeldOut) return undefined;
      return await InstructStream.open({ ...shared, split: "eval", repeat: false });
    },
  };
}

async function instructOptions(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
) {
  const { data, dataset, datasetDir, evalData, evalDataset, dataFormat, evalShare } = options;
  const named = async (names?: readonly string[]) =>
    names ? await datasetSources(datasetDir, names) : [];
  const evaluated = [...evalData ?? [], ...await named(evalDataset)];
  return {
    ...options,
    data: [...data ?? [], ...await named(dataset)],
    evalData: evaluated.length ? evaluated : undefined,
    tokenizer,
    vocabSize,
    format: dataFormat === "auto" ? undefined : dataFormat,
    heldOutShare: evalShare,
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
  return {
    kind: "text",
    async open(position) {
      if (!steps) {
        throw new UserError(
          phrase`${option("steps")} is required to train on text (${
            data![0]
          }…): it is streamed, so the
            number of sequences is not known in advance`,
        );
      }
      const batches = await BatchStream.open({
        ...shared,
        split: "train",
        repeat: true,
        position: position as DataPosition | undefined,
      });
      return { batches, ...stepsOf(options, steps), warnings: batches.notes };
    },
    async openEvaluation() {
      if (!evalData && evalShare === 0) return undefined;
      return await BatchStream.open({ ...shared, split: "eval", repeat: false });
    },
  };
}

function stepsOf({ warmupSteps, warmupRatio }: FinetuneOptions, steps: number) {
  return { steps, warmupSteps: warmupSteps ?? Math.round(warmupRatio * steps) };
}

/** Describes how the examples are used, unless all are used whole. */
export function reportText(
  report: InstructReport,
  { seqLen }: Pick<FinetuneOptions, "seqLen">,
): Phrase[] {
  const lines = [...report.notes, ...findingLines(report)];
  if (report.truncated) {
    lines.push(
      `${report.truncated} of ${report.examples} examples were truncated to ${seqLen} tokens`,
    );
  }
  return lines;
}
