/** The batch of a fine-tuning run where the user leaves it open. */
import { listSources } from "../data/instruct/sources.ts";
import { InstructStream, sourceOf } from "../data/instruct/stream.ts";
import { wasLeftOpen, withDefaults } from "../options/schema.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { instructOptions } from "./finetune_data.ts";
import type { FinetuneOptions } from "./finetune_options.ts";
import { batchOfSmallSet } from "./small_set.ts";
import { begunRun } from "./start.ts";

/** In a set of more bytes, the usual passes have steps enough. */
const SMALL_BYTES = 1 << 20;

/** With the batch of the run that is resumed, or a smaller one than usual for a small set. */
export async function withFittedBatch(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<FinetuneOptions> {
  if (!wasLeftOpen(options, "batchSize")) return options;
  const begun = await begunRun(options);
  const batchSize = begun
    ? begun.shape.batchSize
    : await batchForExamples(options, tokenizer, vocabSize);
  return batchSize === undefined ? options : withDefaults(options, { batchSize });
}

/** What cannot be read is reported where the data is opened for the run. */
async function batchForExamples(
  options: FinetuneOptions,
  tokenizer: Tokenizer,
  vocabSize: number,
): Promise<number | undefined> {
  const { steps, epochs, batchSize, gradientAccumulation } = options;
  const asked = steps !== undefined || epochs !== undefined;
  if (asked || !wasLeftOpen(options, "gradientAccumulation")) return undefined;
  try {
    const shared = await instructOptions(options, tokenizer, vocabSize);
    const listed = await listSources(shared.data.map((each) => sourceOf(each, shared)));
    const bytes = listed.flatMap(({ files }) => files).reduce((sum, { size }) => sum + size, 0);
    if (bytes > SMALL_BYTES) return undefined;
    const { rowsPerEpoch } = await InstructStream.open({ ...shared, split: "train" });
    // Left open it is one of each rank.
    return batchOfSmallSet(rowsPerEpoch, batchSize, gradientAccumulation);
  } catch {
    return undefined;
  }
}
