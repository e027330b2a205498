/** Continuing texts as they are, without a chat template. */
import { complete, type CompleteOptions } from "../inference/complete.ts";
import { stopTokens } from "../inference/chat.ts";
import type { Answer } from "../inference/continuation.ts";
import type { LlamaForCausalLM } from "../inference/llama_for_causal_lm.ts";
import type { SamplingOptions } from "../inference/sampling.ts";
import { longestSequence } from "../model/rope_scaling.ts";
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import { encodeStart } from "../tokenizers/text_ends.ts";
import { TextStream, type Tokenizer } from "../tokenizers/tokenizer.ts";
import { EXIT, type Io } from "./command.ts";
import { converse, type Partner } from "./repl.ts";
import { untilInterrupted } from "./stopped_text.ts";

/** Tokens per text unless asked otherwise. */
export const MOST_TOKENS = 128;

/** A model that continues texts. */
export class Texts implements Partner {
  answer: Answer | undefined;

  constructor(
    readonly model: LlamaForCausalLM,
    readonly tokenizer: Tokenizer,
    readonly options:
      & SamplingOptions
      & Required<Pick<CompleteOptions, "seed" | "maxNewTokens">>
      & Pick<CompleteOptions, "onCompile">,
  ) {}

  /** Continues one text, special tokens included; returns the exit code. */
  async write(prompt: string, io: Io): Promise<number> {
    const { model, tokenizer, options } = this, { config } = model;
    const { ids: tokens, note } = encodeStart(tokenizer, prompt);
    if (note) io.log(`note: ${note}`);
    assertKnownIds("--prompt", tokens, config.vocabSize, tokenizer);
    const longest = longestSequence(config);
    const maxNewTokens = Math.min(options.maxNewTokens, Math.max(1, longest - tokens.length));
    if (maxNewTokens < options.maxNewTokens) {
      io.log(
        `warning: the model has only ${longest} positions: using --max-new-tokens ${maxNewTokens}`,
      );
    }
    const ids: number[] = [];
    const stream = new TextStream(tokenizer);
    const generated = model.generate(tokens, {
      ...options,
      maxNewTokens,
      stopTokens: stopTokens(model, tokenizer),
      signal: io.signal,
    });
    await untilInterrupted(io, async () => {
      for await (const id of generated) {
        ids.push(id);
        io.text(stream.push(id));
      }
    });
    io.result({ text: tokenizer.decode(ids), token_ids: ids }, stream.flush());
    return io.signal.aborted ? EXIT.interrupted : EXIT.done;
  }

  /** Continues what is typed, each text on its own, without special tokens. */
  async converse(io: Io): Promise<number> {
    io.log("this model has no chat template: it continues each text that you type");
    return await converse(this, io);
  }

  /** A text on its own; another seed for each, so that a repeated one goes on differently. */
  send(text: string, signal: AbortSignal): AsyncGenerator<string> {
    this.answer = undefined;
    const options = { ...this.options, seed: this.options.seed + this.#sent++, signal };
    return complete(this.model, this.tokenizer, text, options, (answer) => this.answer = answer);
  }

  #sent = 0;
}
