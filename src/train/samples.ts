/** Samples that a model generates during training, to show what it has learned. */
import { chatTemplate } from "../data/instruct/templates.ts";
import { assertKnownIds } from "../tokenizers/known_ids.ts";
import { encodeStart } from "../tokenizers/text_ends.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { UserError } from "../options/user_error.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { CachedSequence } from "../inference/cached_sequence.ts";
import { endOfTurn } from "../data/instruct/end_of_turn.ts";
import { GREEDY, textSampling } from "../inference/default_sampling.ts";
import { continueTokens } from "../inference/generate.ts";
import { option, phrase } from "../options/phrase.ts";
import type { Training } from "./build.ts";
import type { SampleEvent } from "./events.ts";
import type { EncodedPrompt, Recipe } from "./recipe.ts";

/** Encodes a text to continue; always with the same random numbers, as progress is to be seen. */
export function encodeText(tokenizer: Tokenizer, text: string): EncodedPrompt {
  const { eosTokenId } = tokenizer;
  const { ids } = encodeStart(tokenizer, text);
  const stop = eosTokenId === null ? [] : [eosTokenId];
  return { ids, stop, sampling: textSampling(tokenizer) };
}

/** Encodes a user's question, with the template of the run's examples, for the likeliest answer. */
export function encodeQuestion(
  tokenizer: Tokenizer,
  { template: templateName, defaultSystem }: {
    readonly template: string;
    readonly defaultSystem?: string;
  },
  content: string,
): EncodedPrompt {
  const template = chatTemplate(templateName, tokenizer);
  const system = defaultSystem === undefined ? [] : [{ role: "system", content: defaultSystem }];
  const { text } = template.render([...system, { role: "user", content }], option("samplePrompt"), {
    addGenerationPrompt: true,
  });
  const { token } = endOfTurn(template, tokenizer);
  const ends = [tokenizer.eosTokenId, token].filter((id) => id !== null && id !== undefined);
  return { ids: tokenizer.encode(text, { addSpecialTokens: false }), stop: ends };
}

export interface SamplePrompt {
  readonly text: string;
  readonly encoded: EncodedPrompt;
}

/** Encodes the prompts of a run; refuses one too long for the sample sequence. */
export async function samplePrompts(recipe: Recipe): Promise<SamplePrompt[]> {
  const { options: { samplePrompt = [], sampleTokens }, config, tokenizer } = recipe;
  const { samplePositions = 0 } = recipe.shape;
  const most = samplePositions - sampleTokens;
  return await Promise.all(samplePrompt.map(async (text) => {
    const encoded = await recipe.encodePrompt(text);
    assertKnownIds("a sample prompt", encoded.ids, config.vocabSize, tokenizer);
    if (encoded.ids.length >= 1 && encoded.ids.length <= most) return { text, encoded };
    throw new UserError(
      phrase`${option("samplePrompt", text.slice(0, 40))} has ${encoded.ids.length} tokens,
        must be 1 to ${most}`,
      phrase`shorten it, or reduce ${option("sampleTokens")}`,
    );
  }));
}

/** Generates one sample per prompt between steps; its allocations are in the plan. */
export async function* writeSamples(
  gpu: Gpu,
  { config, tokenizer, options: { sampleTokens }, shape }: Recipe,
  { model: { parameters } }: Training,
  { prompts, step, signal }: {
    readonly prompts: readonly SamplePrompt[];
    readonly step: number;
    readonly signal?: AbortSignal;
  },
): AsyncGenerator<SampleEvent> {
  if (!prompts.length) return;
  const sequence = new CachedSequence({ gpu, config, parameters, dtype: shape.dtype }, {
    positions: shape.samplePositions!,
  });
  try {
    for (const { text: prompt, encoded: { ids, stop, sampling = GREEDY } } of prompts) {
      const made: number[] = [];
      const options = { ...sampling, maxNewTokens: sampleTokens, stopTokens: stop };
      for await (const id of continueTokens(sequence, ids, options)) {
        if (signal?.aborted) return;
        // A row that pads the vocabulary stands for no text.
        if (id < tokenizer.vocabSize) made.push(id);
      }
      const text = tokenizer.decode(made, { skipSpecialTokens: true });
      yield { type: "sample", step, prompt, text };
    }
  } finally {
    sequence.release();
  }
}
