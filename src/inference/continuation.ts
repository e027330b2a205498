/** Streams the continuation of a prompt up to a stop token or text. */
import { TextStream, type Tokenizer } from "../tokenizers/tokenizer.ts";
import type { CachedSequence } from "./cached_sequence.ts";
import { readStops } from "./stop_texts.ts";
import { TextUntil } from "./text_until.ts";
import { continueTokens, type GenerateOptions } from "./generate.ts";

/** The continuation so far. */
export interface Answer {
  /** The answer, without the text that ended it. */
  readonly text: string;
  /** Its tokens. */
  readonly tokenIds: readonly number[];
  /** Number of tokens in the prompt. */
  readonly promptTokens: number;
  /**
   * Whether the model ended the text, reached the token limit, or was stopped by signal or caller.
   */
  readonly finishReason: "stop" | "length" | "aborted";
}

export interface ContinuationOptions extends GenerateOptions {
  /** Texts that end the answer; excluded from it. */
  readonly stopTexts?: readonly string[];
}

/** One answer; its reason is `aborted` until the last piece has been yielded. */
export class Continuation implements Answer {
  text = "";
  readonly tokenIds: number[] = [];
  finishReason: Answer["finishReason"] = "aborted";

  constructor(
    readonly sequence: CachedSequence,
    readonly tokenizer: Tokenizer,
    readonly prompt: readonly number[],
    readonly options: ContinuationOptions,
  ) {}

  get promptTokens(): number {
    return this.prompt.length;
  }

  /** Yields the text without special tokens. Call it once. */
  async *pieces(): AsyncGenerator<string> {
    const { sequence, prompt, options, tokenIds } = this;
    const stream = new TextStream(this.tokenizer, { skipSpecialTokens: true });
    const stops = readStops(options.stopTexts ?? [], this.tokenizer);
    const until = new TextUntil(...stops.texts);
    const stopTokens = [...options.stopTokens ?? [], ...stops.tokens];
    for await (const id of continueTokens(sequence, prompt, { ...options, stopTokens })) {
      tokenIds.push(id);
      const piece = until.push(stream.push(id));
      this.text += piece;
      if (piece) yield piece;
      if (until.ended) break;
    }
    const rest = until.push(stream.flush()) + until.flush();
    const ended = until.ended || tokenIds.length < options.maxNewTokens;
    this.finishReason = ended ? "stop" : "length";
    this.text += rest;
    if (rest) yield rest;
  }
}
