/** Trains a tokenizer on the texts of a corpus. */
import { option, type Phrase, phrase } from "../options/phrase.ts";
import type { Only } from "../options/schema.ts";
import { UserError } from "../options/user_error.ts";
import { formatBytes } from "../text.ts";
import { BpeTraining, type TrainingControl } from "../tokenizers/train_bpe.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { dataSpecs } from "./data.ts";
import { MixedOrder } from "./mixed_order.ts";
import { Corpus } from "./sources.ts";
import { type TokenizerInput, tokenizerOptions } from "./tokenizer_options.ts";

/** A trained tokenizer, and what it was trained on. */
export interface TrainedTokenizer {
  /** To be used, or saved. */
  readonly tokenizer: Tokenizer;
  /** Bytes of the texts it was trained on, in UTF-8. */
  readonly bytes: number;
  /** Distinct words of those texts. */
  readonly words: number;
  /** For the user: what was left out, and whether the vocabulary is smaller than asked. */
  readonly notes: readonly Phrase[];
}

/**
 * Bytes of distinct words. Each takes up to 100 bytes while pairs are merged, of the 4 GiB that
 * WebAssembly has.
 */
const MOST_SYMBOLS = 24e6;

/**
 * Trains a byte-level BPE tokenizer, which encodes any text. The same data and options give the same
 * tokenizer, which is that of Python's `tokenizers`. Throws a {@link UserError} for unusable data,
 * an {@link OptionsError} for options out of range.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from "@deno-galore/trainer";
 *
 * const { tokenizer } = await trainTokenizer({ data: ["texts/"], vocabSize: 8000 });
 * await tokenizer.save("my8k"); // for `tokenizer: "my8k"` of a run, and for transformers
 * ```
 *
 * @example Texts that a program has
 * ```ts
 * import { trainTokenizer } from "@deno-galore/trainer";
 *
 * const texts = ["To be, or not to be", "that is the question"];
 * await trainTokenizer({ data: [texts], vocabSize: 300 });
 * ```
 */
export async function trainTokenizer<Given extends TokenizerInput>(
  given: Only<Given, TokenizerInput>,
  control: TrainingControl = {},
): Promise<TrainedTokenizer> {
  const options = tokenizerOptions.parse<TokenizerInput>(given);
  const { data, textField, maxBytes, vocabSize, minFrequency } = options;
  const corpus = await Corpus.open(dataSpecs(data), { textField, share: "all", heldOutShare: 0 });
  const order = await MixedOrder.open(corpus, { seed: 0, seqLen: 1024 });
  const training = new BpeTraining(options, control);
  const notes: Phrase[] = [...corpus.notes];
  for await (const { text } of order.pieces(0)) {
    control.signal?.throwIfAborted();
    if (!await training.count(text, maxBytes)) {
      notes.push(phrase`the corpus is larger than ${option("maxBytes", maxBytes)}: learned from
        ${formatBytes(training.bytes)} of it, in random order`);
      break;
    }
    if (training.counted.symbols < MOST_SYMBOLS) continue;
    notes.push(
      `learned from ${formatBytes(training.bytes)} of the corpus, in random order: more than ` +
        `${training.counted.words} distinct words do not fit in WebAssembly's memory`,
    );
    break;
  }
  if (training.bytes === 0) throw new UserError("data: has no text to learn from");
  const { bytes, counted: { words } } = training;
  const tokenizer = await training.train();
  if (tokenizer.vocabSize < vocabSize) {
    notes.push(phrase`${tokenizer.vocabSize} of ${vocabSize} tokens: in the whole data no other pair
      of tokens occurs ${option("minFrequency", minFrequency)} times; more text gives
      more of them`);
  }
  return { tokenizer, bytes, words, notes };
}
