/** Text to token ids and back. */
import type { UnknownTokens } from "./unknown_tokens.ts";

/** A tokenizer of any origin: bytes, Hugging Face's or a GGUF file's. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The token that starts a text; null if there is none. */
  readonly bosTokenId: number | null;
  /** The token that ends a text; null if there is none. */
  readonly eosTokenId: number | null;
  /** The special tokens as text, for rendering a chat template. */
  readonly specialTokens: SpecialTokens;
  /** The model's Jinja chat template, if any. */
  readonly chatTemplate: string | null;
  /** What was assumed where its files say nothing, for the user. */
  readonly warnings: readonly string[];
  /** The one for dialogues with tools, if the model has one of its own for them. */
  readonly toolTemplate?: string;
  /**
   * Token ids as in transformers, with the special tokens that the model expects, if any. Halves
   * of surrogate pairs, which UTF-8 cannot express, count as U+FFFD.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /** The same ids, and the part of the text that each was made from. */
  encodeWithOffsets(text: string, options?: EncodeOptions): Encoding;
  /** Invalid UTF-8 becomes U+FFFD. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** Writes what transformers' `AutoTokenizer.from_pretrained(folder)` reads. */
  save(folder: string): Promise<void>;
}

/** A text's tokens and where they come from. */
export interface Encoding {
  /** Token ids. */
  readonly ids: number[];
  /**
   * Where each token begins, in UTF-16 units of the text. White space belongs to its token, unlike
   * in Python where a tokenizer has `trim_offsets`. The tokens of one character's bytes share its
   * place; tokens that the tokenizer adds are at 0, with no length.
   */
  readonly starts: Uint32Array;
  /** Where each token ends, exclusive. */
  readonly ends: Uint32Array;
}

/** Null if the tokenizer has none. */
export interface SpecialTokens {
  /** Begins a text. */
  readonly bosToken: string | null;
  /** Ends a text. */
  readonly eosToken: string | null;
  /** Stands for what has no token. */
  readonly unkToken: string | null;
  /** The padding token. */
  readonly padToken: string | null;
  /** Others by name, such as `sep_token`, if there are any. */
  readonly others?: Readonly<Record<string, string>>;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Default true. Some tokenizers then start a text with BOS, a few end it with EOS. */
  readonly addSpecialTokens?: boolean;
  /** Counts what has no token. */
  readonly unknown?: UnknownTokens;
}

/** Options of {@link Tokenizer.decode}. */
export interface DecodeOptions {
  /** Default false: special tokens appear as text. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Streams text as its tokens arrive, in whole characters: a character whose bytes span several
 * tokens is held back until complete.
 */
export class TextStream {
  /** The tokens of the last piece, and those since. */
  #held: number[] = [];
  /** How many of them have been returned as text. */
  #read = 0;
  /** The text of those. */
  #shown = "";

  /** A stream at the start of a text. */
  constructor(readonly tokenizer: Tokenizer, readonly options?: DecodeOptions) {}

  /** The text completed by this token, possibly empty. */
  push(id: number): string {
    this.#held.push(id);
    const text = this.tokenizer.decode(this.#held, this.options);
    const incomplete = text.endsWith("\ufffd") && this.#held.length - this.#read < MAX_HELD;
    if (incomplete || text.length <= this.#shown.length) return "";
    const fresh = text.slice(this.#shown.length);
    // The last piece stays as context: decoders treat the first token of a text differently (a
    // leading space), and a byte apart from its character is none.
    this.#held = this.#held.slice(this.#read);
    this.#read = this.#held.length;
    this.#shown = this.tokenizer.decode(this.#held, this.options);
    return fresh;
  }

  /** The text still held back, with U+FFFD for incomplete characters. */
  flush(): string {
    const rest = this.tokenizer.decode(this.#held, this.options).slice(this.#shown.length);
    [this.#held, this.#read, this.#shown] = [[], 0, ""];
    return rest;
  }
}

/** Invalid UTF-8 must not be held back forever. */
const MAX_HELD = 16;
