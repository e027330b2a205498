/** How a model is sampled where the user leaves it open. */
import { type GenerationConfig, sampledAs, TEXT_SAMPLING } from "../formats/generation_config.ts";
import type { Tokenizer } from "../tokenizers/tokenizer.ts";
import { biasesIn } from "./logit_biases.ts";
import type { SamplingOptions } from "./sampling.ts";

/** The most likely token, always. */
export const GREEDY: SamplingOptions = { temperature: 0 };

/** As in Keskar et al. 2019 and llama.cpp's examples; higher ones avoid common words, too. */
const REPETITION_PENALTY = 1.1;

/**
 * Sampling as given, otherwise as the model's generation config has it, with transformers' defaults;
 * `otherwise` is for a model whose config leaves open whether it is to be sampled.
 */
export function samplingFor(
  given: Partial<SamplingOptions>,
  generation: GenerationConfig,
  otherwise: SamplingOptions = GREEDY,
): SamplingOptions {
  const { doSample, repetitionPenalty, noRepeatNgramSize } = generation;
  const own = sampledAs(generation) ?? (doSample === undefined ? otherwise : GREEDY);
  const temperature = given.temperature ?? own.temperature;
  return {
    temperature,
    topP: given.topP ?? own.topP,
    topK: given.topK ?? own.topK,
    minP: given.minP ?? own.minP,
    repetitionPenalty: given.repetitionPenalty ?? repetitionPenalty ??
      (temperature === 0 ? undefined : own.repetitionPenalty),
    noRepeatNgramSize: given.noRepeatNgramSize ?? noRepeatNgramSize,
    ...biasesIn(given),
  };
}

/**
 * How a text is continued. A penalty on repetitions suits words, or parts of them: among bytes it
 * would soon exclude the commonest letters.
 */
export function textSampling({ vocabSize }: Pick<Tokenizer, "vocabSize">): SamplingOptions {
  return vocabSize > FEW_TOKENS
    ? { ...TEXT_SAMPLING, repetitionPenalty: REPETITION_PENALTY }
    : TEXT_SAMPLING;
}

/** Of an alphabet, or bytes and some marks. */
const FEW_TOKENS = 1000;
