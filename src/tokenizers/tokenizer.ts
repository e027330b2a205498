/** Text to token ids and back. */

/** A tokenizer of any origin: bytes, Hugging Face's or a GGUF file's. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The token that begins a text; null if there is none. */
  readonly bosTokenId: number | null;
  /** The token that ends a text; null if there is none. */
  readonly eosTokenId: number | null;
  /** The special tokens as they are written: what a chat template is rendered with. */
  readonly specialTokens: SpecialTokens;
  /** The Jinja template that its model was tuned on, if one came with it. */
  readonly chatTemplate: string | null;
  /** Token ids as transformers gives them: with the special tokens the model expects, if any. */
  encode(text: string, options?: EncodeOptions): number[];
  /** Bytes that are no UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** Writes what transformers' `AutoTokenizer.from_pretrained(folder)` reads. */
  save(folder: string): Promise<void>;
}

/** Null where the tokenizer has none. */
export interface SpecialTokens {
  /** Begins a text. */
  readonly bosToken: string | null;
  /** Ends a text. */
  readonly eosToken: string | null;
  /** Stands for what has no token. */
  readonly unkToken: string | null;
  /** Fills a batch. */
  readonly padToken: string | null;
}

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Default true. Some tokenizers then begin a text with BOS, a few end it with EOS. */
  readonly addSpecialTokens?: boolean;
}

/** Options of {@link Tokenizer.decode}. */
export interface DecodeOptions {
  /** Default false: special tokens appear as they are written. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Text as its tokens arrive, never half a character: a character whose bytes are spread over
 * tokens is held back until it is whole.
 */
export class TextStream {
  #held: number[] = [];
  #shown = "";

  /** A stream at the start of a text. */
  constructor(readonly tokenizer: Tokenizer, readonly options?: DecodeOptions) {}

  /** The text that this token completes, perhaps none. */
  push(id: number): string {
    this.#held.push(id);
    const text = this.tokenizer.decode(this.#held, this.options);
    if (text.endsWith("\ufffd") && this.#held.length < MAX_HELD) return "";
    const fresh = text.slice(this.#shown.length);
    // One token stays: decoders treat the first of a text differently (a leading space).
    this.#held = [id];
    this.#shown = this.tokenizer.decode(this.#held, this.options);
    return fresh;
  }

  /** What is still held back, with U+FFFD for what never became whole. */
  flush(): string {
    const rest = this.tokenizer.decode(this.#held, this.options).slice(this.#shown.length);
    [this.#held, this.#shown] = [[], ""];
    return rest;
  }
}

/** Bytes that are no UTF-8 at all must not be held back for ever. */
const MAX_HELD = 16;
