/** Dialogues with a model, rendered by its chat template. */
import type { ChatTemplate } from "../data/instruct/chat_template.ts";
import type { Message } from "../data/instruct/example.ts";
import { chatTemplate } from "../data/instruct/templates.ts";
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import type { GenerationConfig } from "../formats/generation_config.ts";
import { assertSampling } from "./assert_sampling.ts";
import { tokenLimit } from "./context_length.ts";
import { type Answer, Continuation } from "./continuation.ts";
import type { CachedSequence } from "./cached_sequence.ts";
import { endOfTurn } from "../data/instruct/end_of_turn.ts";
import { samplingFor } from "./default_sampling.ts";
import { createSequence } from "./memory_limit.ts";
import type { SamplingOptions } from "./sampling.ts";
import type { RunnableModel } from "./runnable_model.ts";

export type { Answer };

/** A model that can chat, such as `LlamaForCausalLM`. */
export interface ChatModel extends RunnableModel {
  /** Defaults of the sampling. */
  readonly generation: GenerationConfig;
}

/** Sampling options default to the model's generation_config.json. */
export interface ChatOptions extends Partial<SamplingOptions> {
  /** Most tokens per answer; by default the model's own setting, or 512. */
  readonly maxNewTokens?: number;
  /** Refuse a prompt that leaves no room for that many, instead of shortening the answer. */
  readonly mustFit?: boolean;
  /** The system prompt. */
  readonly system?: string;
  /** A template by name, as for the option `template`; by default the tokenizer's own. */
  readonly template?: string;
  /** Descriptions of the functions that the model may call, for templates that support them. */
  readonly tools?: readonly unknown[];
  /** Texts that end the answer, besides the template's end of turn; excluded from it. */
  readonly stop?: readonly string[];
  /** Seed of the sampling; 0 by default. */
  readonly seed?: number;
  /** Stops the answer and throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called while kernels are compiled, before the first token; at the end with all of them. */
  readonly onCompile?: (done: number, total: number) => void;
}

/**
 * Streams the answer to a dialogue. Throws a {@link UserError} if the template refuses the messages,
 * they fill the model's positions, or an option is out of its range.
 *
 * @example
 * ```ts
 * import { chat, Gpu, LlamaForCausalLM, loadTokenizer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const model = await LlamaForCausalLM.fromPretrained("runs/demo/model", { gpu });
 * const tokenizer = await loadTokenizer("runs/demo/model");
 * const messages = [{ role: "user", content: "Name a planet." }];
 * for await (const piece of chat(model, tokenizer, messages)) console.log(piece);
 * ```
 */
export async function* chat(
  model: ChatModel,
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: ChatOptions = {},
): AsyncGenerator<string> {
  const conversation = new Conversation(model, tokenizer, options);
  try {
    conversation.add(...messages);
    yield* conversation.reply(options.signal);
  } finally {
    conversation.release();
  }
}

/**
 * An ongoing dialogue: its KV cache stays on the device, so that each turn processes only new
 * tokens.
 */
export class Conversation {
  readonly #template: ChatTemplate;
  readonly #sampling: SamplingOptions;
  readonly #stopTokens: readonly number[];
  readonly #stopTexts: readonly string[];
  /** The answer of the last `reply` or `send`, however it ended. */
  answer: Answer | undefined;
  #messages: Message[] = [];
  #sequence: CachedSequence | undefined;
  #replies = 0;

  /** Throws a {@link UserError} if there is no template, or an option is out of its range. */
  constructor(
    readonly model: ChatModel,
    readonly tokenizer: Tokenizer,
    readonly options: ChatOptions = {},
  ) {
    assertSampling(options);
    this.#template = chatTemplate(options.template ?? "default", tokenizer);
    this.#sampling = samplingFor(options, model.generation);
    const { token, text } = endOfTurn(this.#template, tokenizer);
    this.#stopTokens = [...stopTokens(model, tokenizer), ...(token === undefined ? [] : [token])];
    this.#stopTexts = [...options.stop ?? [], ...(text === undefined ? [] : [text])];
    this.reset();
  }

  /** The dialogue so far, the system prompt included. */
  get messages(): readonly Message[] {
    return this.#messages;
  }

  /** Adds messages, unanswered or from elsewhere. */
  add(...messages: readonly Message[]): void {
    this.#messages.push(...messages);
  }

  /** Forgets everything but the system prompt. */
  reset(): void {
    const { system } = this.options;
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  /**
   * Sends a user message and streams the answer. If stopped, the partial answer is kept; if it is
   * empty, the question is dropped too, since roles must alternate.
   */
  async *send(content: string, signal?: AbortSignal): AsyncGenerator<string> {
    const before = this.#messages.length;
    this.add({ role: "user", content });
    try {
      yield* this.reply(signal);
    } finally {
      if (this.#messages.at(-1)!.role !== "assistant") this.#messages.length = before;
    }
  }

  /**
   * Streams the answer to the messages so far. Throws a {@link UserError} if the template refuses
   * them or they fill the model's positions.
   */
  async *reply(signal?: AbortSignal): AsyncGenerator<string> {
    this.answer = undefined;
    const prompt = this.#prompt();
    const wanted = this.options.maxNewTokens ?? this.model.generation.maxNewTokens ?? 512;
    const limit = tokenLimit(this.model, {
      what: "the dialogue",
      promptTokens: prompt.length,
      wanted,
      mustFit: this.options.mustFit,
    });
    const positions = prompt.length + limit;
    this.#sequence ??= createSequence(this.model, positions);
    this.#sequence.reserve(positions);
    const answer = this.answer = new Continuation(this.#sequence, this.tokenizer, prompt, {
      ...this.#sampling,
      maxNewTokens: limit,
      stopTokens: this.#stopTokens,
      stopTexts: this.#stopTexts,
      // A different seed per turn, but reproducible if the conversation is repeated.
      seed: (this.options.seed ?? 0) + this.#replies++,
      signal,
      onCompile: this.options.onCompile,
    });
    try {
      yield* answer.pieces();
    } finally {
      const { text, finishReason } = answer;
      if (text || finishReason !== "aborted") this.add({ role: "assistant", content: text });
    }
  }

  /** Releases the memory of the dialogue; it can continue, but recomputes from the first token. */
  release(): void {
    this.#sequence?.release();
    this.#sequence = undefined;
  }

  #prompt(): number[] {
    const { text } = this.#template.render(this.#messages, "dialogue", {
      addGenerationPrompt: true,
      tools: this.options.tools,
    });
    // The template has already written BOS and the like.
    const ids = this.tokenizer.encode(text, { addSpecialTokens: false });
    assertKnownIds("the dialogue", ids, this.model.config.vocabSize, this.tokenizer);
    return ids;
  }
}

/** Ids that end a text of this model, from all sources. */
export function stopTokens(model: ChatModel, tokenizer: Tokenizer): number[] {
  const { generation, config } = model;
  const ids = [generation.eosTokenIds, config.eosTokenId ?? [], tokenizer.eosTokenId ?? []];
  return [...new Set(ids.flat())];
}
