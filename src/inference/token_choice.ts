/** Chooses tokens on the device, by the rules of {@link SamplingOptions}. */
import type { Allocator } from "../gpu/allocator.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { KernelPass } from "../gpu/pass.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { adjustLogits, IN_PROMPT } from "../kernels/sampling/adjust_logits.ts";
import { chooseToken } from "../kernels/sampling/choose_token.ts";
import { forbidRepeats } from "../kernels/sampling/forbid_repeats.ts";
import type { LlamaConfig } from "../model/config.ts";
import { packTensor } from "../numbers/plain.ts";
import { biasVector } from "./logit_biases.ts";
import { randomBits, type SamplingOptions } from "./sampling.ts";

/** What the choice of tokens reads and writes. */
export interface ChoiceBuffers {
  readonly history: Tensor; // (T) uint32: the tokens chosen, and those before where a rule needs them
  readonly occurrences: Tensor; // (V) uint32
  readonly bias: Tensor; // (V)
}

/** For sequences of up to `positions` tokens. */
export function createChoiceBuffers(
  allocator: Allocator,
  { vocabSize }: Pick<LlamaConfig, "vocabSize">,
  positions: number,
): ChoiceBuffers {
  const make = (name: string, size: number, dtype: "uint32" | "float32") =>
    allocator.tensor({ name, shape: [size], dtype, purpose: "activations" });
  return {
    history: make("history", positions, "uint32"),
    occurrences: make("occurrences", vocabSize, "uint32"),
    bias: make("logit_bias", vocabSize, "float32"),
  };
}

/** The choice of one token after the other, from the end of a prompt on. */
export class TokenChoice {
  readonly #random: () => number;
  /** Penalties, if any rule changes logits before they are filtered. */
  readonly #adjustment:
    | { repetitionPenalty: number; frequencyPenalty: number; presencePenalty: number }
    | undefined;
  #length: number;

  /** Uploads what the rules need. Throws a `UserError` for a bias of a token that does not exist. */
  constructor(
    gpu: Gpu,
    readonly buffers: ChoiceBuffers,
    prompt: readonly number[],
    readonly options: SamplingOptions & { readonly seed?: number },
  ) {
    const { history, occurrences, bias } = buffers, [vocabulary] = bias.shape;
    const { repetitionPenalty = 1, frequencyPenalty = 0, presencePenalty = 0 } = options;
    this.#random = randomBits(options.seed ?? 0);
    this.#length = prompt.length;
    const write = (tensor: Tensor, values: Uint32Array | Float32Array) =>
      gpu.write(tensor, packTensor({ ...tensor, shape: [values.length] }, values));
    if (options.noRepeatNgramSize) write(history, Uint32Array.from(prompt));
    const biases = biasVector(options, vocabulary);
    const penalised = repetitionPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
    if (!penalised && !biases.some((each) => each !== 0)) return;
    this.#adjustment = { repetitionPenalty, frequencyPenalty, presencePenalty };
    write(bias, biases);
    const counts = new Uint32Array(vocabulary);
    for (const id of prompt) counts[id] = IN_PROMPT;
    write(occurrences, counts);
  }

  /** Records the next choice. `logits` (1, V) are overwritten, and `token` (1) with the choice. */
  record(
    pass: KernelPass,
    { logits, token }: { readonly logits: Tensor; readonly token: Tensor },
  ): void {
    const { temperature, topK, topP, minP, noRepeatNgramSize: size = 0 } = this.options;
    const { history, occurrences, bias } = this.buffers;
    if (this.#adjustment) adjustLogits(pass, { logits, bias, occurrences, ...this.#adjustment });
    // No sequence as long as that can occur twice.
    if (size > 0 && size <= this.#length) {
      forbidRepeats(pass, { tokens: history, length: this.#length, size, logits });
    }
    chooseToken(pass, {
      logits,
      token,
      history,
      occurrences,
      position: this.#length++,
      temperature,
      topK,
      topP,
      minP,
      random: this.#random(),
    });
  }
}
