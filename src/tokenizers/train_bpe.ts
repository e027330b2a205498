/** Trains byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) with Hugging Face's library. */
import { TOKENIZER_CONFIG, TOKENIZER_JSON } from "../files/tokenizer_files.ts";
import { QWEN_2_SPLIT } from "../formats/gguf/pre_tokenizers.ts";
import { tokenizerFromFiles } from "./hf_tokenizer.ts";
import { slicesOf } from "./text_slices.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { type Counted, TrainingEngine } from "./training_engine.ts";

/** The vocabulary to train. */
export interface Vocabulary {
  /** Its tokens: 256 for single bytes, special ones, and one for each merge. */
  readonly vocabSize: number;
  /** A pair of tokens is merged if it occurs so often. */
  readonly minFrequency: number;
  /** The token that ends a text, and pads. */
  readonly eosToken: string;
  /** A token that the tokenizer puts before each text. */
  readonly bosToken?: string;
  /** Further special tokens, such as those of a chat template. */
  readonly specialTokens?: string[];
}

/** How far a training is. */
export interface TokenizerProgress {
  /** What is being done. Words are counted while data is read, and pairs of tokens among them. */
  readonly phase: "counting words" | "splitting words" | "counting pairs" | "merging pairs";
  /** Bytes of text, words, words, tokens of the vocabulary. */
  readonly done: number;
  /** Of how many, at most. */
  readonly total: number;
}

/** What a {@link BpeTraining} reports, and what ends it. */
export interface TrainingControl {
  /** Called some ten times a second. */
  readonly onProgress?: (progress: TokenizerProgress) => void;
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Milliseconds between reports, at which timers and signals get their turn. */
const INTERVAL = 100;

const PHASES: Readonly<Record<string, TokenizerProgress["phase"]>> = {
  "Tokenize words": "splitting words",
  "Count pairs": "counting pairs",
  "Compute merges": "merging pairs",
};

/** Counts the words of texts, then trains on them. */
export class BpeTraining {
  readonly #engine: TrainingEngine;
  #reportedAt = performance.now();
  /** UTF-8 of the texts counted. */
  bytes = 0;
  counted: Counted = { words: 0, symbols: 0 };

  constructor(readonly options: Vocabulary, readonly control: TrainingControl) {
    this.#engine = new TrainingEngine(
      untrained(options.bosToken),
      (phase, done, total) => this.#report(PHASES[phase], done, total),
    );
  }

  /** Counts a text, but only as far as `mostBytes` in all allow; `false` if they were reached. */
  async count(text: string, mostBytes: number): Promise<boolean> {
    for (const slice of slicesOf(text)) {
      const bytes = new TextEncoder().encode(slice);
      if (this.bytes + bytes.length > mostBytes) return false;
      this.counted = this.#engine.count(bytes);
      this.bytes += bytes.length;
      await this.#report("counting words", this.bytes, mostBytes);
    }
    return true;
  }

  /** Trains on what was counted; may be called once. */
  async train(): Promise<Tokenizer> {
    const { vocabSize, minFrequency, bosToken, eosToken } = this.options;
    const json = await this.#engine.train({
      vocab_size: vocabSize,
      min_frequency: minFrequency,
      special_tokens: specialTokensOf(this.options),
    });
    const config = {
      tokenizer_class: "PreTrainedTokenizerFast",
      ...bosToken !== undefined && { bos_token: bosToken },
      eos_token: eosToken,
      pad_token: eosToken,
      clean_up_tokenization_spaces: false,
    };
    const encoder = new TextEncoder();
    return tokenizerFromFiles(
      "the trained tokenizer",
      new Map([
        [TOKENIZER_JSON, encoder.encode(json)],
        [TOKENIZER_CONFIG, encoder.encode(JSON.stringify(config, null, 2) + "\n")],
      ]),
    );
  }

  async #report(phase: TokenizerProgress["phase"], done: number, total: number): Promise<void> {
    if (performance.now() - this.#reportedAt < INTERVAL) return;
    this.control.onProgress?.({ phase, done, total });
    await new Promise((resolve) => setTimeout(resolve));
    this.control.signal?.throwIfAborted();
    this.#reportedAt = performance.now();
  }
}

type SpecialTokens = Pick<Vocabulary, "bosToken" | "eosToken" | "specialTokens">;

/** The special tokens, in the order of their ids from 0. */
export function specialTokensOf(
  { bosToken, eosToken, specialTokens = [] }: SpecialTokens,
): string[] {
  return [...new Set([...bosToken === undefined ? [] : [bosToken], eosToken, ...specialTokens])];
}

/** The smallest vocabulary: a token for each byte, and the special ones. */
export function smallestVocabulary(options: SpecialTokens): number {
  return 256 + specialTokensOf(options).length;
}

/**
 * A tokenizer.json without tokens. Words are split as by Qwen 2, which llama.cpp knows: numbers are
 * digits, so that a small vocabulary is not spent on them.
 */
function untrained(bosToken: string | undefined) {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: QWEN_2_SPLIT,
    post_processor: bosToken === undefined ? null : startingWith(bosToken),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: {},
      merges: [],
    },
  };
}

/** BOS, whose id is 0, before each text. */
function startingWith(bosToken: string) {
  const bos = { SpecialToken: { id: bosToken, type_id: 0 } };
  return {
    type: "TemplateProcessing",
    single: [bos, { Sequence: { id: "A", type_id: 0 } }],
    pair: [bos, { Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { [bosToken]: { id: bosToken, ids: [0], tokens: [bosToken] } },
  };
}
