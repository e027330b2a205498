/** Text to token ids and back. */

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
  /** Token ids as in transformers, with the special tokens that the model expects, if any. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Invalid UTF-8 becomes U+FFFD. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** Writes what transformers' `AutoTokenizer.from_pretrained(folder)` reads. */
  save(folder: string): Promise<void>;
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
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Default true. Some tokenizers then start a text with BOS, a few end it with EOS. */
  readonly addSpecialTokens?: boolean;
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
  #held: number[] = [];
  #shown = "";

  /** A stream at the start of a text. */
  constructor(readonly tokenizer: Tokenizer, readonly options?: DecodeOptions) {}

  /** The text completed by this token, possibly empty. */
  push(id: number): string {
    this.#held.push(id);
    const text = this.tokenizer.decode(this.#held, this.options);
    if (text.endsWith("\ufffd") && this.#held.length < MAX_HELD) return "";
    const fresh = text.slice(this.#shown.length);
    // Keep one token: decoders treat the first of a text differently (a leading space).
    this.#held = [id];
    this.#shown = this.tokenizer.decode(this.#held, this.options);
    return fresh;
  }

  /** The text still held back, with U+FFFD for incomplete characters. */
  flush(): string {
    const rest = this.tokenizer.decode(this.#held, this.options).slice(this.#shown.length);
    [this.#held, this.#shown] = [[], ""];
    return rest;
  }
}

/** Invalid UTF-8 must not be held back forever. */
const MAX_HELD = 16;
