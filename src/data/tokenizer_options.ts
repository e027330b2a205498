/** The options of {@link trainTokenizer}. */
import { z } from "../packages/zod.ts";
import {
  defineOptions,
  type Given,
  type Options,
  orLive,
  type Rule,
  section,
} from "../options/schema.ts";
import { END_OF_TEXT } from "../tokenizers/byte_tokenizer.ts";
import { type Data, dataFault } from "./data.ts";
import { smallestVocabulary, specialTokensOf, type Vocabulary } from "../tokenizers/train_bpe.ts";

/** Options of {@link trainTokenizer}, as `tokenizerOptions.parse` returns them. */
export interface TokenizerOptions extends Vocabulary {
  /** Files, folders, patterns, `hf:…`, or data in memory, as for pre-training. */
  readonly data: Data;
  /** The field of a record that holds the text. */
  readonly textField: string;
  /** Bytes of text to learn from, in UTF-8: of more, a random sample is taken. */
  readonly maxBytes: number;
}

/** Options of {@link trainTokenizer}, as a program gives them. */
export type TokenizerInput = Given<TokenizerOptions, "data">;

/** The library counts pairs in 32 bits. */
const MOST_BYTES = 2 ** 31 - 1;

const count = () => z.number().int().min(1);
const token = z.string().refine((text) => [...text].length > 1, "must have two characters or more");

/** The fields of {@link tokenizerOptions}. */
export const tokenizerFields = {
  ...section("Data", {
    data: orLive<z.ZodArray<z.ZodString>, Data>(
      z.array(z.string().min(1)).min(1).describe(
        "texts to learn from: text, JSON Lines, CSV, Parquet or Arrow files, also compressed; " +
          "folders, patterns (data/*.jsonl.zst), - for standard input, or hf:…",
      ).meta({ value: "file|dir|hf:…" }),
      dataFault,
    ),
    textField: z.string().min(1).default("text").describe(
      "field of a JSON record or Parquet row that contains the text",
    ).meta({ value: "name" }),
    maxBytes: count().max(MOST_BYTES).default(2 ** 28).describe(
      "bytes of text to learn from; of more, a random sample is taken",
    ),
  }),
  ...section("Vocabulary", {
    vocabSize: count().default(8000).describe(
      "tokens of the vocabulary: 256 for single bytes, special ones, and those learned",
    ),
    minFrequency: count().default(2).describe("a pair of tokens is merged if it occurs so often"),
    eosToken: token.default(END_OF_TEXT).describe("token that ends a text, and pads")
      .meta({ value: "token" }),
    bosToken: token.optional().describe("token that the tokenizer puts before each text")
      .meta({ value: "token" }),
    specialTokens: z.array(token).optional().describe(
      "further special tokens, such as those of a chat template",
    ).meta({ value: "token" }),
  }),
};

/** A vocabulary has room for every byte and every special token. */
export const vocabularyRule: Rule = (options) => {
  const given = options as Readonly<Record<string, unknown>> & Vocabulary;
  // Faults of their own are reported already.
  if (given.vocabSize === undefined || !given.eosToken) return undefined;
  const smallest = smallestVocabulary(given), special = specialTokensOf(given);
  if (given.vocabSize >= smallest) return undefined;
  return {
    option: "vocabSize",
    message: `must be at least ${smallest}, got ${given.vocabSize}: 256 bytes and ` +
      `${special.length} special (${special.join(" ")})`,
  };
};

/** Options of {@link trainTokenizer}, which parses what it is given. */
export const tokenizerOptions: Options<TokenizerOptions, TokenizerInput> = defineOptions({
  fields: tokenizerFields,
  rules: [vocabularyRule],
});
